"""The one visible loop: choose, explain, measure, judge, store."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from harness.arithmetic import on_arithmetic
from harness.checks import examination_table, examined
from harness.checks.contract import ContractGate
from harness.containment import can_hold
from harness.digest import digest
from harness.effects import part_effects
from harness.engines import LOCAL, Job, Progress, run_here
from harness.errors import UsageError
from harness.evaluation.decision import decided
from harness.evaluation.met import contract_jobs
from harness.evaluation.notes import answer_notes, check_faces, noted
from harness.evaluation.provenance import about_explainer, about_metrics, passes_of, provenance, seconds_before
from harness.evaluation.recognition import Recognised, Tell, answers, silent
from harness.evaluation.request import Request
from harness.evaluation.rows import blank_images, evidence_of, examples_of, failed_rows, names_of, persons_of
from harness.evaluation.runner import Runner
from harness.evaluation.team import Hands, Team, hands_for
from harness.evaluation_set import EvaluationSet, evaluation_set
from harness.explainers import Explainer
from harness.identity import content
from harness.measurements import (
    Cells,
    ClassSimilarity,
    Measured,
    confusion,
)
from harness.measurements.cells import of_the_network
from harness.models.soundness import finite_answers
from harness.oracles.known import TRUTH, known_maps, oracle_name, truths
from harness.store import BLANK, EFFECTS, RunFolder, frame
from harness.truth.images import Games


def evaluate(
    request: Request,
    folder: RunFolder,
    progress: Progress,
    command: str = "",
    tell: Tell = silent,
    workers: int = 0,
    engine: str = LOCAL,
    address: str = "",
    isolate: bool = False,
) -> RunFolder:
    """Evaluate and store a run; on the same folder it goes on where it was stopped.

    Parameters
    ----------
    request
        What is evaluated; missing controls are added.
    folder
        Where results and the cache go.
    progress
        Wraps the jobs, so that a caller can show how far they are.
    command
        Noted in the run.
    tell
        Called with a line that says what of an earlier start is used again, and what is made again and why.
    workers
        Processes of one thread each that work side by side. What is found is the same bit for bit however many they
        are; what it cost is not, since what one process still knows another asks again. 0 leaves everything to this
        process and torch's threads.
    engine, address
        Where the workers are, as :func:`harness.evaluation.team.hands_for` takes them.
    isolate
        Whether each explainer, metric and check of somebody else runs in processes of its own, which no other's code
        has touched. What is found is the same bit for bit as with `workers`.

    Returns
    -------
    RunFolder
        Holding scores, curves, matrices, examinations, verdicts, examples and ``run.json``.

    Raises
    ------
    UsageError
        Where the faces' classes are not the subject's, two faces have one id, the folder cannot be written, another
        process is at work in it, or there cannot be workers.
    """
    with folder.alone(), hands_for(request.subject, workers, engine, address, isolate) as hands:
        made = _evaluated(request, folder, progress, command, tell, hands)
    if folder.shared is not None:
        folder.shared.tidy()
    return made


def _evaluated(
    request: Request, folder: RunFolder, progress: Progress, command: str, tell: Tell, hands: Hands
) -> RunFolder:
    """Evaluate in a folder that is this process's own meanwhile."""
    started = time.perf_counter()
    request = request.with_controls()
    check_faces(request.subject, request.faces)
    notes = noted(request)
    folder.unfinished()
    folder = prepared(request, folder)
    recognised = Recognised(request, folder, answers(request.subject, request.faces, folder))
    recognised.tell(tell)
    case, probabilities = case_of(request, folder)
    # Before anything else: who breaks the contract has no scores. Known maps come from no explainer that could.
    gate = ContractGate(request.subject, request.faces, request.seed, folder.remembered)
    runner = Runner(case, request.measurements(), folder, gate.behaviour)
    team = Team(hands, folder, progress, runner, tell)
    # Ahead of what asks for them: so workers share them, and progress says how far they are.
    team.run(game_jobs(case, runner), request)
    known = (*known_maps(case, request.faces, probabilities.argmax(1), runner.shared), *truths_of(case, runner))
    jobs = contract_jobs(gate, request.explainers)
    request = replace(request, explainers=request.explainers + known)
    faults = team.run([*jobs, *runner.plan(request.explainers)], request)
    recognised.note(gate.behaviours, tell)

    sound = [explainer for explainer in request.explainers if explainer.name not in faults]
    found = Measured.joined(
        [
            *_of_the_network(request, case, probabilities),
            *[of_the_network(games, case, runner.shared) for games in played(runner)],
            *[runner.measured(explainer) for explainer in sound],
            *[failed_rows(case, name, fault) for name, fault in faults.items()],
        ]
    )
    blank = {explainer.name: blank_images(case, runner.maps(explainer)) for explainer in sound}
    evidence = replace(evidence_of(case, found), blank=blank)
    families = {explainer.name: explainer.facts.family for explainer in request.explainers}
    made = decided(evidence, request.checks, families, faults, request.subject.limit)

    effects, effect_passes = _effects(request, folder)
    tables = {
        "ladder": made.ladder,
        "verdicts": made.verdicts,
        "images": names_of(case),
        "persons": persons_of(request.faces, [*case.faces.ids.tolist(), *effects["image"].tolist()]),
        "blank": frame(BLANK, [{"explainer": name, "image": image} for name, held in blank.items() for image in held]),
        "effects": effects,
        "examinations": examination_table(made.examinations),
        **vars(found),
    }
    for name, table in tables.items():
        folder.write_table(name, table)
    folder.write_examples(examples_of(case, runner, sound))
    explainers = tuple(about_explainer(explainer, runner, faults) for explainer in request.explainers)
    costs = [runner.cost(), *(about.cost for about in explainers)]
    before = seconds_before(runner, costs)
    if before >= 1.0:
        tell(f"{before:.0f} s of the seconds counted were spent before, by this run or others that share their pieces")
    record = provenance(
        request,
        case,
        made.broken,
        command=command,
        notes=(*notes, *answer_notes(request.faces, probabilities.argmax(1)), *case.notes),
        explainers=explainers,
        metrics=about_metrics(request, found),
        shared_cost=runner.cost(),
        passes=passes_of(len(request.faces) + effect_passes, [gate.passes, *costs]),
        seconds=round(time.perf_counter() - started + before, 2),
    )
    folder.write_record(record)
    return RunFolder(folder.path)


def prepared(request: Request, folder: RunFolder) -> RunFolder:
    """Give the networks of a request the feed of a run, and return the folder with the pieces that are theirs.

    Those are kept apart by arithmetic, and by how the networks answer now, whatever their code says.
    """
    limit_calls(request)
    settled = on_arithmetic(request.subject, folder, request.feed)
    twin = request.random_labels
    if twin is not None:
        twin.fed(request.subject.feed)
        twin.behaviour = answers(twin, request.faces, settled)
    for explainer in request.explainers:
        _ = explainer.digest  # before it is called, which may change what it holds
    return settled.of(answers(request.subject, request.faces, settled))


def limit_calls(request: Request) -> None:
    """Give calls of somebody's code the time and the memory that are asked for.

    Beside a GPU memory has no limit of its own: drivers reserve addresses by the hundred GiB that nobody fills.

    Raises
    ------
    UsageError
        Where a limit of memory is asked for and the system knows none.
    """
    limit, asked = request.subject.limit, request.memory_limit
    if asked is not None and not can_hold():
        raise UsageError(f"--memory-limit needs Linux, and {sys.platform} holds no process to one; leave it out")
    limit.seconds = request.time_limit
    limit.memory = math.inf if asked is None and request.subject.device.type != "cpu" else asked


def case_of(request: Request, folder: RunFolder) -> tuple[EvaluationSet, Float[np.ndarray, "n k"]]:
    """Return the images that a request's explainers are judged on, and the network's answers to all faces."""
    probabilities = _probabilities(request, folder)
    profile = request.profile
    return evaluation_set(request.subject, request.faces, probabilities, profile.per_class, request.seed), probabilities


def examine(request: Request, folder: RunFolder, progress: Progress) -> pd.DataFrame:
    """Return whether each metric tells truth from noise on a subject, without judging any explainer.

    Parameters
    ----------
    request
        Subject, faces, profile and seed; explainers and checks do not matter.
    folder
        Where pieces are kept, so that it goes on where it was stopped.
    progress
        Wraps the jobs.

    Returns
    -------
    pd.DataFrame
        See :data:`harness.store.EXAMINATIONS`; metrics that ask an explainer again have no row.

    Raises
    ------
    UsageError
        Where the game cannot be played and no cause is known, and as :func:`evaluate`.
    """
    check_faces(request.subject, request.faces)
    noted(request)
    folder = prepared(request, folder)
    case, probabilities = case_of(request, folder)
    # Here metrics are what time is taken for, so that those are examined that the quickest runs leave out.
    longer = replace(request.profile, name="examination")
    everything = replace(request, everything=True, profile=longer).measurements()
    runner = Runner(case, [each for each in everything if not each.asks_again], folder)
    run_here(game_jobs(case, runner), progress)
    known = (*known_maps(case, request.faces, probabilities.argmax(1), runner.shared), *truths_of(case, runner))
    if not {oracle_name(0.0), oracle_name(0.0, TRUTH)} & {each.name for each in known}:
        raise UsageError(
            f"of {request.faces.name!r} no cause is known, and {request.subject.name} cannot be asked about cells; "
            "examine metrics on other pictures"
        )
    scored = (*replace(request, explainers=()).with_controls().explainers, *known)
    run_here(runner.plan(scored), progress)
    found = Measured.joined([runner.measured(each) for each in scored])
    return examination_table(examined(evidence_of(case, found)))


def _probabilities(request: Request, folder: RunFolder) -> Float[np.ndarray, "n k"]:
    """Return the network's class probabilities of all faces."""
    subject, faces = request.subject, request.faces

    def predict() -> dict[str, np.ndarray]:
        found = subject.probabilities(subject.prepare(faces.images)).double().cpu().numpy()
        return {"probabilities": finite_answers(subject, faces, found)}

    found: np.ndarray = folder.remembered(probabilities_key(request), predict)["probabilities"]
    return found


def probabilities_key(request: Request) -> str:
    """Return under which key the network's answers to all faces are kept."""
    return digest("probabilities", request.subject.digest, request.faces.digest)


def _effects(request: Request, folder: RunFolder) -> tuple[pd.DataFrame, int]:
    """Return what each face part does for its class, empty where that cannot be known, and the images passed for it."""
    subject, faces = request.subject, request.faces
    known = faces.counterfactuals
    if known is None or faces.labels is None or not len(known.faces):
        return frame(EFFECTS), 0

    def make() -> dict[str, Any]:
        before = subject.passes.forward
        return {"effects": part_effects(subject, faces), "passes": np.array(subject.passes.forward - before)}

    key = digest("effects", subject.digest, faces.digest, *vars(known).values(), content(part_effects).digest)
    found = folder.remembered(key, make)
    return found["effects"], int(found["passes"])


def _of_the_network(
    request: Request, case: EvaluationSet, probabilities: Float[np.ndarray, "n k"]
) -> Sequence[Measured]:
    """Return what is measured once a run: likeness of class-mean images and, with labels, the confusion matrix."""
    found = [ClassSimilarity().of_images(case)]
    labels = request.faces.labels
    if labels is not None:
        found.append(confusion(case.classes, case.places(labels), case.places(probabilities.argmax(1))))
    return found


def played(runner: Runner) -> Sequence[Games]:
    """Return the games that a run plays: those of its measurements, or none."""
    return [each.games for each in runner.measurements if isinstance(each, Cells)]


def game_jobs(case: EvaluationSet, runner: Runner) -> list[Job]:
    """Return the jobs that play the games of a run, piece by piece."""
    return [job for games in played(runner) for job in runner.shared_jobs("the games", games.pieces(case))]


def truths_of(case: EvaluationSet, runner: Runner) -> Sequence[Explainer]:
    """Return the truth of the games that a run plays as explainers, with shares of noise."""
    return [oracle for games in played(runner) for oracle in truths(case, games, runner.shared)]
