"""What of a run's jobs can be begun, and what is told of an explainer, whoever is quicker."""

from collections.abc import Sequence

from harness.engines import Job
from harness.engines.plan import AsTheyEnd, Plan


def job(title: str, stage: int | None = None) -> Job:
    return Job(title, title.split()[0], str, stage is not None, stage or 0)


ONE = [job("a contract"), job("a maps", 0), job("a maps", 0), job("a deletion", 1), job("a seeds", 1)]


def begun(plan: Plan) -> list[int]:
    """The first job of every group that can be begun now."""
    taken = iter(plan.take, None)
    return [plan.groups[group][0][0] for group in taken]


def test_stage_follows_stage_and_jobs_of_one_are_beside_each_other() -> None:
    plan = Plan(ONE)
    assert begun(plan) == [0]
    assert plan.ended(0) == [0]
    assert begun(plan) == [1, 2]
    plan.ended(2)
    assert begun(plan) == []
    plan.ended(1)
    assert begun(plan) == [3, 4]
    assert [plan.ended(4), plan.ended(4), plan.ended(3)] == [[4], [], [3]]
    assert plan.is_over


def test_what_is_not_free_is_done_in_order_by_one() -> None:
    plan = Plan([job("a one"), job("b one"), job("a two"), job("b maps", 0)])
    assert [[number for number, _ in group] for group in plan.groups] == [[0, 2], [1], [3]]
    assert begun(plan) == [0, 1]
    plan.ended(0)
    assert plan.next_of(0) == (2, plan.groups[0][1][1])


def test_what_is_nobodys_waits_for_nothing() -> None:
    plan = Plan([Job("games", "", str), Job("more games", "", str, True, 3), *ONE])
    assert begun(plan) == [0, 1, 2]


def test_the_first_fault_is_told_whichever_was_found_first() -> None:
    for order in ((2, 1), (1, 2)):
        plan = Plan(ONE)
        plan.ended(0)
        begun(plan)
        over = [each for number in order for each in plan.fault(number, f"fault of {number}")]
        assert plan.faults == {"a": "fault of 1"}
        assert sorted(over) == [1, 2, 3, 4]
        assert plan.is_over
        assert begun(plan) == []


def test_what_comes_before_a_fault_is_still_done() -> None:
    plan = Plan([*ONE, job("b contract")])
    plan.ended(0)
    assert begun(plan) == [1, 2, 5]
    assert plan.fault(2, "wrong") == [2, 3, 4]
    assert not plan.is_over
    assert plan.ended(1) == [1]
    assert begun(plan) == []
    assert plan.faults == {"a": "wrong"}


def test_an_earlier_job_of_a_later_stage_is_not_waited_for_in_vain() -> None:
    plan = Plan([job("a late", 1), job("a early", 0), job("a early", 0)])
    assert begun(plan) == [1, 2]
    plan.fault(1, "wrong")
    assert begun(plan) == [0]


def test_a_group_that_is_put_back_goes_on_where_it_was() -> None:
    plan = Plan([job("a one"), job("a two"), job("b one")])
    first = plan.take()
    assert first == 0
    plan.ended(0)
    plan.again(first)
    assert plan.take() == first
    assert plan.next_of(first) == (1, plan.groups[0][1][1])
    plan.fault(1, "wrong")
    plan.again(first)
    assert begun(plan) == [2]


def test_jobs_stand_where_they_ended() -> None:
    ended: Sequence[int] = (2, 0)
    each = AsTheyEnd(ONE[:3], iter(ended))
    assert [one.title for one in each] == ["a maps", "a contract"]
    assert [each[0], each[1], each[2]] == [ONE[2], ONE[0], ONE[1]]
    assert list(each[1:]) == [ONE[0], ONE[1]]
