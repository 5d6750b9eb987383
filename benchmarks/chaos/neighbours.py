"""Explainers that do wrong beside one that does not."""

import random
import shutil
from pathlib import Path

from benchmarks.chaos.commands import command
from benchmarks.chaos.world import Count, words

NEIGHBOURS = {
    "os._exit": "import os; os._exit(0)",
    "sys.exit": "import sys; sys.exit()",
    "raises": "raise ValueError('no')",
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "threads": "torch.set_num_threads(3)",
    "working folder": "import os; os.chdir('/')",
    "mkldnn": "torch._C._set_mkldnn_enabled(False)",
    "a function of torch": "torch.nn.functional.relu = lambda x, *a, **k: x",
    "a method of tensors": "torch.Tensor.relu = lambda x: x",
    "a layer's forward": "torch.nn.Conv2d.forward = lambda s, x: x",
    "the map layer": "subject.cam_layer = 'first'",
    "weights": "subject.network.dense.weight.data.zero_()",
    "training mode": "subject.network.train()",
    "a hook": "subject.network.first.register_forward_hook(lambda m, i, o: o * 2)",
    "global hooks": "torch.nn.modules.module.register_module_forward_hook(lambda m, i, o: None)",
    "generators": "np.random.seed(0); torch.manual_seed(0); import random; random.seed(0)",
    "grad mode": "torch.set_grad_enabled(False)",
    "NumPy's errors": "np.seterr(all='raise')",
    "sleeps": "import time; time.sleep(10**6)",
    "spins": "while True: pass",
    "a thread": "import threading, time; threading.Thread(target=time.sleep, args=(10**6,), daemon=True).start()",
    "not a number": "images = images * np.nan",
    "another shape": "images = images[:, :, :2]",
    "closes the output": "import sys; sys.stdout = None",
    "eats memory": "kept = [torch.ones(2**26) for _ in range(2**10)]",
    "eats memory in Python": "kept = [list(range(10**6)) for _ in range(10**4)]",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "another library": "import scipy.ndimage; scipy.ndimage.gaussian_filter = scipy.ndimage.correlate1d = None",
}


APART = ("crashes", "is killed", "another library")
"""Against which ``--isolate`` is asked for."""


def neighbours(world: Path, draw: random.Random) -> Count:
    """Run beside an explainer at fault, and compare the others' scores with those without it."""
    del draw
    import pandas as pd

    count = Count("neighbours")
    command(words(world, "alone"), world, paged=False)
    wanted = pd.read_parquet(world / "alone" / "scores.parquet")
    for number, (what, line) in enumerate(NEIGHBOURS.items()):
        bad = f"bad{number}"
        body = "\n    ".join(line.split("; "))
        text = f"import numpy as np\nimport torch\ndef {bad}(subject, images, targets):\n    {body}\n"
        (world / f"{bad}.py").write_text(f"{text}    return images[:, 0] * (1 + targets[:, None, None])\n")
        out = f"beside-{number}"
        asked = words(world, out, (f"{bad}.py:{bad}", "explain.py:mine"))
        limits = ["--time-limit", "20", "--memory-limit", "2", *(["--isolate"] if what in APART else [])]
        ended = command([*asked, *limits], world, paged=False)
        lost = f"status {ended.status}, {ended.err[-300:]!r}" if ended.status else ""
        if not lost:
            found = pd.read_parquet(world / out / "scores.parquet")
            others = found[found["explainer"] != bad].reset_index(drop=True)
            lost = "" if others.equals(wanted) else "others' scores moved"
        count.add(what, lost)
        shutil.rmtree(world / out, ignore_errors=True)
    return count
