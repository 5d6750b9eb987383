"""Threads sleep while they wait, unless the user says otherwise: looked at in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.waiting import OWN, wait_asleep

ROOT = Path(harness.__file__).parents[1]
SHOWS = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch is loaded under", os.environ.get("OMP_WAIT_POLICY"))
sys.meta_path.insert(0, Watch())
"""
STARTS = {
    "the command": f"{SHOWS}\nfrom harness.cli import main\nmain(['list', 'faces'])",
    "the command as a module": f"{SHOWS}\nimport runpy\nsys.argv[1:] = ['--version']\n"
    "runpy.run_module('harness.cli', run_name='__main__')",
    "the suites": f"{SHOWS}\nimport pytest\npytest.main(['suites', '--help', '-s'])",
}


def said(start: str, **environment: str) -> str:
    """What a fresh process prints, in which the user has set nothing but `environment`."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN} | environment
    words = [sys.executable, "-c", start]
    return subprocess.run(words, cwd=ROOT, env=kept, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("how", STARTS)
def test_threads_sleep_from_before_torch_is_loaded(how: str) -> None:
    assert said(STARTS[how]).splitlines()[0] == "torch is loaded under PASSIVE"


def test_a_users_own_setting_stays() -> None:
    start = STARTS["the command"]
    assert said(start, OMP_WAIT_POLICY="ACTIVE").splitlines()[0] == "torch is loaded under ACTIVE"


@pytest.mark.parametrize("name", OWN)
def test_any_of_a_users_settings_stays_alone(name: str) -> None:
    environment = {name: "7"}
    wait_asleep(environment)
    assert environment == {name: "7"}
