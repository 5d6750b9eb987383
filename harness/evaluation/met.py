"""The jobs that put explainers to the contract, and what the process that does them has seen of an explainer."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from harness.checks.contract import ContractGate
from harness.engines import Job
from harness.explainers import Explainer
from harness.identity import Reads, note_reads


def contract_jobs(gate: ContractGate, explainers: Sequence[Explainer]) -> list[Job]:
    """Return the jobs of a gate; where others do them, this process learns of them what the explainers do."""
    return [
        replace(job, tells=partial(_met, gate, explainer), hears=partial(_meet, gate, explainer))
        for job, explainer in zip(gate.jobs(explainers), explainers, strict=True)
    ]


def _met(gate: ContractGate, explainer: Explainer) -> tuple[str, Reads] | tuple[()]:
    """Return what an explainer does now and what it has read so far, nothing where it was not asked."""
    known = gate.behaviours.get(explainer.name)
    return () if known is None else (known, explainer.reads)


def _meet(gate: ContractGate, explainer: Explainer, met: tuple[str, Reads]) -> None:
    """Take what an explainer does, which then is not asked in this process."""
    gate.behaviours[explainer.name] = met[0]
    for owner in tuple(explainer.content.files) or (explainer.origin,):  # as it notes its own
        note_reads(owner, met[1])
