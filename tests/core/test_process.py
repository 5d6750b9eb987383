"""Idle threads sleep and freed memory is kept where the command starts, unless the user has said otherwise."""

import os
import platform
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from harness.process import KEPT_PIECE, solving_in_one_thread

BLAS = "OPENBLAS_NUM_THREADS"
PRINTS = "import os; print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))"
STARTS = {
    "the command": "import sys; sys.argv = ['harness', '--version']\nimport harness.__main__ as m\n"
    "try: m.main()\nexcept SystemExit: pass\n",
    "the suites": "import pytest\nfrom harness.pytest_entry import load_suites\n"
    "load_suites(pytest.PytestPluginManager())\n",
}


def environment_after(start: str, **given: str) -> str:
    kept = {name: value for name, value in os.environ.items() if "WAIT_POLICY" not in name and "SPIN" not in name}
    ran = subprocess.run([sys.executable, "-c", start + PRINTS], env=kept | given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_threads_sleep_by_default(start: str) -> None:
    assert environment_after(start) == "PASSIVE None"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}], ids=str)
def test_a_users_own_setting_stays(start: str, given: dict[str, str]) -> None:
    said = environment_after(start, **given)
    assert said == f"{given.get('OMP_WAIT_POLICY')} {given.get('GOMP_SPINCOUNT')}"


def test_nothing_is_set_once_torch_is_loaded() -> None:
    """It would do nothing here and change what the process starts."""
    start = "import torch\nfrom harness.process import wait_passively; wait_passively()\n"
    assert environment_after(start) == "None None"


THREADS = """
import torch, scipy.linalg
from threadpoolctl import threadpool_info
print(*sorted({pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}))
"""


def blas_threads(start: str, **given: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in {BLAS, "OMP_NUM_THREADS"}}
    ran = subprocess.run([sys.executable, "-c", start + THREADS], env=kept | given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no second thread")
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_systems_are_solved_in_one_thread(start: str) -> None:
    many = blas_threads("")
    if not many:
        pytest.skip("NumPy and SciPy have another library than OpenBLAS here")
    assert many != "1"
    assert blas_threads(start) == "1"
    assert blas_threads(start, **{BLAS: "2"}) == "2", "a user's own setting stays"


def test_a_process_that_others_set_up_solves_in_one_thread_meanwhile() -> None:
    with threadpool_limits(limits=2, user_api="blas"), solving_in_one_thread():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"} <= {1}


FAULTS = f"""
import mmap, resource, torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def once():
    held = [torch.ones({KEPT_PIECE} // 16) for _ in range(4)]  # of a quarter of the largest piece that is kept
once(), once()
before = faults()
for _ in range(10):
    once()
print((faults() - before) * mmap.PAGESIZE / (40 * {KEPT_PIECE} / 4))
"""


def pages_taken_anew(start: str, **given: str) -> float:
    """Return which share of the memory that is asked for again comes from the system, page by page."""
    kept = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    ran = subprocess.run([sys.executable, "-c", start + FAULTS], env=kept | given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return float(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU C library's malloc alone is told")
def test_freed_memory_is_kept_for_the_next_pass() -> None:
    """Counted in pages: the heap may grow once or twice more before it holds all that is in use at once."""
    keeps = "from harness.process import keep_memory; keep_memory()\n"
    assert pages_taken_anew(keeps) < 0.5
    assert pages_taken_anew("", MALLOC_TRIM_THRESHOLD_="131072") > 0.9
    assert pages_taken_anew(keeps, MALLOC_TRIM_THRESHOLD_="131072") > 0.9, "a user's own setting stays"
