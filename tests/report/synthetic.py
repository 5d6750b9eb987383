"""Runs as an evaluation leaves them, drawn from a seed, so that every number of a report can be computed by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tiny import a_record, an_explainer, score_called

from harness.metrics.cards import described
from harness.statistics import mean_interval
from harness.store import (
    CURVES,
    MATRICES,
    SCORES,
    VERDICTS,
    CheckRecord,
    Examples,
    ExplainerRecord,
    FacesRecord,
    PassesRecord,
    RunFolder,
    RunRecord,
    SubjectRecord,
    frame,
)

FACES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
METHODS = {
    "gradient": "gradient",
    "integrated-gradients": "gradient",
    "smoothgrad": "gradient",
    "guided-backprop": "backprop",
    "gradcam": "cam",
    "occlusion": "perturbation",
    "rise": "perturbation",
    "lime": "surrogate",
    "kernel-shap": "surrogate",
}
CONTROLS = ("random", "edges", "mean-face")
NULLS = ("spectrum-null", "transplant-null")
CHECKS = {
    "deletion-spectrum": ("deletion-gain", "spectrum-null"),
    "deletion-transplant": ("deletion-gain", "transplant-null"),
    "deletion-edges": ("deletion-gain", "edges"),
    "insertion-spectrum": ("insertion-gain", "spectrum-null"),
    "insertion-transplant": ("insertion-gain", "transplant-null"),
    "insertion-edges": ("insertion-gain", "edges"),
    "randomization-full": ("randomization-full-excess", "transplant-null"),
    "randomization-full-absolute": ("randomization-full-absolute-excess", "transplant-null"),
}
METRICS = (
    *("deletion-auc", "insertion-auc", "deletion-gain", "insertion-gain"),
    *("randomization-full", "randomization-full-absolute"),
    *("randomization-full-excess", "randomization-full-absolute-excess"),
)
CONFUSION_CHECKS = ("confusion-recall", "confusion-mantel", "confusion-mantel-partial")
CASCADE = (("fc2",), ("fc1",), ("conv6", "conv5"), ("conv4", "conv3"), ("conv2", "conv1"))


@dataclass(frozen=True)
class Plan:
    """What to draw: `empty` names a class without images, `gaps` an explainer with undefined values, `broken` one that
    made no maps at all."""

    classes: tuple[str, ...] = FACES
    families: tuple[tuple[str, str], ...] = (*METHODS.items(), *((name, "control") for name in CONTROLS))
    per_class: int = 8
    empty: str = "Disgust"
    gaps: str = "lime"
    broken: str = "rise"
    labelled: bool = True
    seed: int = 0
    subject: str = "5b1e"
    faces: str = "a0c4"


class Drawn:
    """One synthetic run being written."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.plan, self.run = plan, RunFolder(path)
        self.rng = np.random.default_rng(plan.seed)
        self.names = [name for name, _ in plan.families]
        self.sound = [name for name in self.names if name != plan.broken]
        self.shown = [name for name in plan.classes if name != plan.empty]
        self.targets = np.repeat(self.shown, plan.per_class)
        self.images = np.arange(len(self.targets)) * 3 + 5
        self.ease = dict(zip(plan.classes, self.rng.uniform(0.4, 0.95, len(plan.classes)), strict=True))
        self.truth = [self._label(target) for target in self.targets]
        quality = np.linspace(0.16, 0.02, len(self.names))
        self.quality = {
            name: 0.0 if family == "control" else float(q)
            for (name, family), q in zip(plan.families, quality, strict=True)
        }

    def _label(self, target: str) -> str:
        """The true class of an image that is explained as `target`."""
        if not self.plan.labelled:
            return ""
        return str(target if self.rng.random() < self.ease[target] else self.rng.choice(self.plan.classes))

    def write(self) -> RunFolder:
        measured = {name: self._measured(name) for name in self.sound}
        scores = [self._rows(name, *key, values) for name, held in measured.items() for key, values in held.items()]
        if self.plan.broken:
            scores.append(self._failed())
        self.run.write_table("scores", pd.concat(scores, ignore_index=True)[list(SCORES)].astype(SCORES))
        self.run.write_table("curves", self._curves())
        self.run.write_table("matrices", self._matrices())
        self.run.write_table("verdicts", self._verdicts(measured))
        self.run.write_examples(self._examples())
        self.run.write_record(self._record())
        return RunFolder.existing(self.run.path)

    # ------------------------------------------------------------------ scores

    def _measured(self, name: str) -> dict[tuple[str, str], np.ndarray]:
        """Values of each metric and variant, NaN where undefined."""
        good = self.quality[name] + 0.08 * np.array([self.ease[each] - 0.6 for each in self.targets])

        def noise(spread: float) -> np.ndarray:
            return self.rng.normal(0, spread, len(self.targets))

        own = np.clip(0.35 - good + noise(0.05), 0, 1)
        values = {("deletion-auc", "map"): own, ("insertion-auc", "map"): np.clip(0.4 + good + noise(0.05), 0, 1)}
        for null in NULLS:
            values["deletion-auc", null] = np.clip(0.36 + noise(0.03), 0, 1)
            values["insertion-auc", null] = np.clip(0.39 + noise(0.03), 0, 1)
            values["deletion-gain", null] = values["deletion-auc", null] - own
            values["insertion-gain", null] = values["insertion-auc", "map"] - values["insertion-auc", null]
        for metric, level in (("randomization-full", 0.1), ("randomization-full-absolute", 0.4)):
            like = 0.75 if name == "guided-backprop" else level
            values[metric, "map"] = np.clip(like + noise(0.08), -1, 1)
            values[metric, "transplant-null"] = np.clip(level + noise(0.05), -1, 1)
            values[f"{metric}-excess", "transplant-null"] = values[metric, "map"] - values[metric, "transplant-null"]
        if name == self.plan.gaps:
            for held in values.values():
                held[::5] = np.nan
        return values

    def _rows(self, name: str, metric: str, variant: str, values: np.ndarray) -> pd.DataFrame:
        which = vars(score_called(metric))
        made = pd.DataFrame({"explainer": name, **which, "variant": variant, "image": self.images})
        made["label"], made["target"], made["predicted"] = self.truth, self.targets, self.targets
        made["value"] = values
        made["status"] = np.where(np.isnan(values), "undefined", "ok")
        made["reason"] = np.where(np.isnan(values), "the map is constant", "")
        return made

    def _failed(self) -> pd.DataFrame:
        made = self._rows(self.plan.broken, "maps", "map", np.full(len(self.images), np.nan))
        return made.assign(status="failed", reason=self._fault())

    def _fault(self) -> str:
        return f"{self.plan.broken} returned NaN for every image"

    # ------------------------------------------------------------------ curves

    def _curves(self) -> pd.DataFrame:
        x = np.linspace(0, 1, 11)
        steps = np.arange(len(CASCADE) + 1.0)
        tables = []
        for name in self.sound:
            good = self.quality[name]
            start = self.rng.uniform(0.6, 1, (len(self.images), 1))
            for variant, gain in (("map", good), ("spectrum-null", 0.0), ("transplant-null", 0.2 * good)):
                falling, rising = np.exp(-x * (3 + 20 * gain)), 1 - np.exp(-x * (2 + 20 * gain))
                tables.append(self._curve(name, "deletion", variant, x, start * falling))
                tables.append(self._curve(name, "insertion", variant, x, start * rising))
            rate = 0.02 if name == "guided-backprop" else 0.7
            for metric, floor in (("randomization-cascade", 0.0), ("randomization-cascade-absolute", 0.35)):
                fall = floor + (1 - floor) * np.exp(-rate * steps)
                wobble = self.rng.normal(0, 0.05, (len(self.images), len(steps)))
                tables.append(self._curve(name, metric, "map", steps, fall + wobble))
                tables.append(self._curve(name, metric, "transplant-null", steps, floor + 0.1 + wobble))
        return pd.concat(tables, ignore_index=True)[list(CURVES)].astype(CURVES)

    def _curve(self, name: str, metric: str, variant: str, x: np.ndarray, values: np.ndarray) -> pd.DataFrame:
        n = len(x)
        return pd.DataFrame(
            {
                "explainer": name,
                "metric": metric,
                "variant": variant,
                "image": np.repeat(self.images, n),
                "target": np.repeat(self.targets, n),
                "x": np.tile(x, len(self.images)),
                "value": values.ravel(),
            }
        )

    # ------------------------------------------------------------------ matrices

    def _matrices(self) -> pd.DataFrame:
        k = len(self.plan.classes)
        square = np.exp(-np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / 2)
        held = {("image-similarity", ""): square * 0.9}
        for name in self.sound:
            held["map-similarity", name] = np.clip(square + self.rng.normal(0, 0.1, (k, k)), -1, 1)
        if self.plan.labelled:
            held["confusion", ""] = self._confusion()
        rows = [
            {"matrix": matrix, "explainer": name, "row": row, "column": column, "value": value[i, j]}
            for (matrix, name), value in held.items()
            for i, row in enumerate(self.plan.classes)
            for j, column in enumerate(self.plan.classes)
        ]
        return frame(MATRICES, rows)

    def _confusion(self) -> np.ndarray:
        k, rows = len(self.plan.classes), []
        for i, name in enumerate(self.plan.classes):
            share = np.exp(-np.abs(np.arange(k) - i) / 1.5)
            share[i] = 0
            share *= (1 - self.ease[name]) / share.sum()
            share[i] = self.ease[name]
            rows.append(np.zeros(k) if name == self.plan.empty else self.rng.multinomial(20, share / share.sum()))
        return np.array(rows, dtype=float)

    # ------------------------------------------------------------------ verdicts

    def _verdicts(self, measured: dict[str, dict[tuple[str, str], np.ndarray]]) -> pd.DataFrame:
        rows = []
        for name in self.names:
            for check, (metric, control) in CHECKS.items():
                values = self._differences(measured, name, metric, control)
                for where in ("all", *self.plan.classes):
                    here = values if where == "all" else values[self.targets == where]
                    rows.append(self._verdict(name, check, where, here))
            rows += [self._over_classes(name, check) for check in CONFUSION_CHECKS]
        return frame(VERDICTS, rows)

    def _differences(
        self, measured: dict[str, dict[tuple[str, str], np.ndarray]], name: str, metric: str, control: str
    ) -> np.ndarray:
        """What a check compares, NaN where it cannot."""
        nothing = np.full(len(self.images), np.nan)
        if name not in measured:
            return nothing
        if control != "edges":
            return measured[name][metric, control]
        if name == "edges" or "edges" not in measured:
            return nothing
        return measured[name][metric, "spectrum-null"] - measured["edges"][metric, "spectrum-null"]

    def _verdict(self, name: str, check: str, where: str, values: np.ndarray) -> dict[str, Any]:
        """One row: pass where the interval lies beyond the margin on the claim's side."""
        good = values[~np.isnan(values)]
        control, at_most = CHECKS[check][1], check.startswith("randomization")
        margin = 0.15 if at_most else 0.01
        row = {
            "explainer": name,
            "check": check,
            "family": "randomization" if at_most else "faithfulness",
            "control": control,
            "class": where,
            "n": 0,
            "unit": "images",
            "units": 0,
            "undefined": 0,
            "blank": 0,
            "effect": np.nan,
            "low": np.nan,
            "high": np.nan,
            "margin": margin,
            "p": np.nan,
            "p_adjusted": np.nan,
            "p_fail": np.nan,
            "p_fail_adjusted": np.nan,
            "verdict": "not applicable",
            "reason": "fewer than 2 images",
        }
        if name == self.plan.broken:
            return row | {"reason": self._fault()}
        if control == "edges" and (name == "edges" or "edges" not in self.names):
            return row | {"reason": "the control itself" if name == "edges" else "edges were not measured"}
        if len(good) < 2:
            return row
        found = mean_interval(good, resamples=999)
        better, worse = found.low > margin, found.high < margin
        if at_most:
            better, worse = worse, better
        verdict = "pass" if better else "fail" if worse else "inconclusive"
        p = {"pass": 0.0001, "fail": 1.0, "inconclusive": 0.08}[verdict]
        return row | {
            "n": len(good),
            "units": len(good),
            "undefined": len(values) - len(good),
            "effect": found.estimate,
            "low": found.low,
            "high": found.high,
            "p": p,
            "p_adjusted": p,
            "p_fail": 1 - p,
            "p_fail_adjusted": 0.0001 if verdict == "fail" else 1.0,
            "verdict": verdict,
            "reason": "adjusted p = 0.08; about 64 images would settle it" if verdict == "inconclusive" else "",
        }

    def _over_classes(self, name: str, check: str) -> dict[str, Any]:
        """One row over classes rather than images."""
        known = self.plan.labelled and name != self.plan.broken
        return {
            "explainer": name,
            "check": check,
            "family": "confusion",
            "control": "class relabelling",
            "class": "all",
            "n": len(self.shown) if known else 0,
            "unit": "classes",
            "units": len(self.shown) if known else 0,
            "undefined": 0,
            "blank": 0,
            "effect": self.rng.uniform(-0.3, 0.9) if known else np.nan,
            "low": np.nan,
            "high": np.nan,
            "margin": 0.0,
            "p": 0.2 if known else np.nan,
            "p_adjusted": 1.0 if known else np.nan,
            "p_fail": 0.8 if known else np.nan,
            "p_fail_adjusted": 1.0 if known else np.nan,
            "verdict": "inconclusive" if known else "not applicable",
            "reason": "adjusted p = 1" if known else "the images have no labels",
        }

    # ------------------------------------------------------------------ the rest

    def _examples(self) -> Examples:
        y, x = np.mgrid[-1:1:48j, -1:1:48j]
        face = np.clip(0.9 - (x**2 / 0.6 + y**2) ** 2, 0.1, 1)
        for cx in (-0.3, 0.3):
            face = face - 0.5 * np.exp(-((x - cx) ** 2 + (y + 0.2) ** 2) / 0.02)
        mouths = [0.4 * np.exp(-(x**2 + (y - 0.3 - i / 50) ** 2) / 0.03) for i, _ in enumerate(self.shown)]
        maps = self.rng.normal(0, 0.2, (len(self.sound), len(self.shown), 48, 48))
        for e, name in enumerate(self.sound):
            maps[e] += 10 * self.quality[name] * np.exp(-(x**2 + (y - 0.3) ** 2) / 0.05)
            maps[e] -= 4 * self.quality[name] * np.exp(-((x - 0.3) ** 2 + (y + 0.3) ** 2) / 0.05)
        first = [list(self.targets).index(name) for name in self.shown]
        return Examples(
            pictures=np.clip(face - np.array(mouths), 0, 1),
            images=self.images[first],
            labels=np.array([self.truth[i] for i in first]),
            targets=np.array(self.shown),
            explainers=np.array(self.sound),
            maps=maps,
        )

    def _record(self) -> RunRecord:
        plan = self.plan
        return a_record(
            command="harness run --subject faces-cnn --faces rendered --profile quick",
            subject=SubjectRecord("faces-cnn", plan.subject, plan.classes, plan.classes, "act4"),
            faces=FacesRecord("rendered", plan.faces, len(self.images), plan.labelled, "CC0"),
            explainers=tuple(self._about(i, *pair) for i, pair in enumerate(plan.families)),
            metrics=described(map(score_called, METRICS)),
            chosen={name: int((self.targets == name).sum()) for name in plan.classes},
            profile={"name": "quick", "per_class": plan.per_class, "steps": 11},
            seed=plan.seed,
            passes=PassesRecord(123_456, 7_890),
            seconds=61.5,
            rungs=(),
            cascade=CASCADE,
            checks=tuple(self._check(name, *about) for name, about in CHECKS.items()),
        )

    def _check(self, name: str, metric: str, control: str) -> CheckRecord:
        randomized = name.startswith("randomization")
        return CheckRecord(
            name=name,
            family="randomization" if randomized else "faithfulness",
            claim=f"{metric} over {control} lies beyond its margin",
            control=control,
            margin=0.15 if randomized else 0.01,
            margin_reason="one pixel in a hundred",
            reference="",
            figure="figures/verdicts.png",
            metric=metric,
            at_most=randomized,
            decides=not name.endswith("absolute"),
            rung=0,
            unit="images",
            origin="",
            needs=(),
            fault="",
        )

    def _about(self, number: int, name: str, family: str) -> ExplainerRecord:
        broken = name == self.plan.broken
        return an_explainer(
            name,
            family,
            control=family == "control",
            settings={"steps": "32"} if name == "integrated-gradients" else {},
            digest=f"d{number}",
            status="failed" if broken else "ok",
            reason=self._fault() if broken else "",
        )


def many(k: int, e: int) -> Plan:
    """A plan of k classes and e explainers, three of which are controls where there is room."""
    controls = 3 if e > 5 else 0
    held = list(METHODS.items())
    methods = [
        (name if i < len(held) else f"{name}-variant-{i}", family)
        for i, (name, family) in ((i, held[i % len(held)]) for i in range(e - controls))
    ]
    families = (*methods, *((name, "control") for name in CONTROLS[:controls]))
    classes = tuple(f"class {chr(65 + i)}" for i in range(k))
    return Plan(classes, families, per_class=3, empty="", gaps="", broken="")
