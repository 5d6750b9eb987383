"""Without a terminal a line says now and then how far a run is, however long one job takes."""

import io
import math
import time

from harness.cli import progress
from harness.cli.progress import Pace, Rate, line_by_line
from harness.engines.local import Job

JOBS = [Job(f"{name}: {what}", name, lambda: None) for name in ("one", "two") for what in ("maps", "cells")]


def test_a_line_comes_while_a_job_is_still_running() -> None:
    said: list[str] = []
    for number, job in enumerate(line_by_line(JOBS, said.append, 0.01)):
        assert job is JOBS[number]
        while number == 1 and not any("now one: cells" in line for line in said):
            time.sleep(0.01)
    assert any(line.startswith("harness: 1 of 4 jobs in ") and "left; now one: cells" in line for line in said)


def test_nothing_is_said_of_a_run_that_is_over_at_once() -> None:
    said: list[str] = []
    assert list(line_by_line(JOBS, said.append, 60.0)) == JOBS
    assert said == []


def test_it_stops_speaking_where_the_run_is_broken_off() -> None:
    said: list[str] = []
    running = line_by_line(JOBS, said.append, 0.01)
    next(running)
    running.close()
    held = len(said)
    time.sleep(0.05)
    assert len(said) == held


def test_a_job_takes_as_long_as_others_of_its_kind() -> None:
    pace = Pace(JOBS, taken={": maps": [2.0, 4.0], ": cells": [30.0]})
    pace.current, pace.since = 2, time.monotonic()
    assert math.isclose(pace.left(), 33, abs_tol=0.5), "maps of about 3 s and cells of 30 s"


def test_a_kind_that_was_not_seen_takes_the_mean_and_nothing_is_guessed_at_first() -> None:
    assert math.isnan(Pace(JOBS).left())
    assert "left" not in Pace(JOBS).line()
    pace = Pace(JOBS, taken={": maps": [10.0, 20.0]})
    pace.current, pace.since = 3, time.monotonic()
    assert math.isclose(pace.left(), 15, abs_tol=0.5)


def test_what_was_not_seen_takes_as_long_as_the_first_of_its_kind_has_by_now() -> None:
    pace = Pace(JOBS, taken={": maps": [1.0]})
    pace.current, pace.since = 1, time.monotonic() - 60
    assert math.isclose(pace.left(), 61, abs_tol=0.5), "maps of 1 s, and cells that take a minute or more"


def test_passes_a_second_are_those_since_it_began_and_unsaid_where_none_are_known() -> None:
    passed = [1000]
    rate = Rate(lambda: passed[0], began=time.monotonic() - 10)
    assert rate.told() == ""
    assert Pace(JOBS, rate=rate).line().count(",") == 0
    passed[0] += 50_000
    made = int(rate.told().removesuffix(" passes a second").replace(",", ""))
    assert 4000 < made <= 5000, "50,000 in 10 seconds and what this machine takes since"
    assert " passes a second; now one: maps" in Pace(JOBS, rate=rate).line()


def test_there_is_a_bar_on_a_terminal_alone(monkeypatch, capsys) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    assert list(progress.shown_progress(JOBS)) == JOBS
    assert "two: cells" in terminal.getvalue()


def test_a_job_that_takes_long_takes_nothing_off_those_after_it() -> None:
    pace = Pace(JOBS, taken={": maps": [3.0], ": cells": [30.0]})
    pace.current, pace.since = 2, time.monotonic() - 1000.0
    assert math.isclose(pace.left(), 30, abs_tol=0.5), "cells are still to be made"


def test_jobs_that_did_nothing_say_nothing_of_those_that_are_left() -> None:
    # An explainer at fault takes all its jobs along, of every kind; pieces that are there end as soon.
    pace = Pace(JOBS, taken={": maps": [20.0, 0.001], ": cells": [1e-5, 1e-5]})
    pace.current, pace.since = 2, time.monotonic()
    assert math.isclose(pace.left(), 40, abs_tol=0.5), "maps of 20 s, and cells of which nothing is known"
    pace.taken = {": maps": [0.001], ": cells": [0.003]}
    assert math.isclose(pace.left(), 0.003, abs_tol=0.002), "nothing else is known"
