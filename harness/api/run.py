"""A finished run as Python and notebooks read it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from harness.cli import default_metric, write_report
from harness.errors import UsageError, closest
from harness.report import comparison, queries, tables
from harness.store import RunFolder, RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "report.html"

Kind = Literal["", "score", "gain", "excess"]
"""Which number of a metric is meant; "" for its own score, or as its name says."""


class Run:
    """A finished run: its tables as DataFrames, its figures and its page.

    Parameters
    ----------
    path
        The folder that ``harness run`` or :func:`harness.evaluate` wrote.

    Attributes
    ----------
    path
        The folder.

    Raises
    ------
    UsageError
        Where the folder holds no finished run of this version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._folder = RunFolder.existing(self.path)

    def __repr__(self) -> str:
        about = self.record
        asked = f"{len(self.explainers)} explainers of {about.subject.name} on {about.faces.name}"
        return f"Run({str(self.path)!r}): {asked}"

    def _repr_html_(self) -> str:
        """Return the answer, the ladder and the ladder by class as a notebook shows them, in the look of the page."""
        # matplotlib is slow to import, and tables do not need it.
        from harness.report import notebook

        return notebook.shown(self._folder)

    # ------------------------------------------------------------------ what is stored

    @property
    def record(self) -> RunRecord:
        """What ``run.json`` says: command, seeds, versions, digests, passes, seconds, device."""
        return self._folder.record

    @property
    def explainers(self) -> list[str]:
        """Names of the explainers: methods first, then controls and known maps."""
        return list(queries.families(self._folder))

    @property
    def classes(self) -> list[str]:
        """Names of the subject's classes, in their order."""
        return queries.classes(self._folder)

    @property
    def ladder(self) -> pd.DataFrame:
        """One row an explainer, class ("all" or a name) and rung: whether it is reached, and by what effect."""
        return self._folder.ladder

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row an explainer, check and class: pass, fail, inconclusive or not applicable, with its numbers."""
        return self._folder.verdicts

    @property
    def scores(self) -> pd.DataFrame:
        """One row an image, explainer, score and variant; undefined is null with a status, never 0.

        Which score is said by the columns ``metric``, ``output``, ``fill`` and ``kind``: score, gain or excess.
        """
        return self._folder.scores

    @property
    def images(self) -> pd.DataFrame:
        """What each image of :attr:`scores` is called, such as its file's path; no row where it has a number alone."""
        return self._folder.images

    @property
    def curves(self) -> pd.DataFrame:
        """One row a point of an image's removal curve."""
        return self._folder.curves

    # ------------------------------------------------------------------ what is made of it

    def table(
        self,
        metric: str | None = None,
        *,
        output: str = "",
        fill: str = "",
        kind: Kind = "",
        by: Literal["class", "explainer"] = "class",
    ) -> pd.DataFrame:
        """Return what ``harness table --metric`` prints: the mean of a metric for each class and explainer.

        Parameters
        ----------
        metric
            A name, or name and variant as ``deletion-gain/transplant-null``; by default settled pairs where measured.
        output, fill, kind
            With one of these, all four are as in the columns of :attr:`scores`: ``table("deletion-auc", kind="gain")``.
        by
            What the rows are.

        Returns
        -------
        pd.DataFrame
            A row a class and "all"; columns ``n``, ``recall`` where there are labels, and one an explainer, NaN where
            no value is defined.

        Raises
        ------
        UsageError
            Where the run holds no such metric; the message lists those it holds.
        """
        return tables.metric_table(self._folder, self._score(metric, output, fill, kind), by=by)

    def compare(
        self,
        *others: "Run",
        explainers: Sequence[str] = (),
        metric: str | None = None,
        output: str = "",
        fill: str = "",
        kind: Kind = "",
    ) -> pd.DataFrame:
        """Return what ``harness compare`` prints: explainers, or this run and others, paired by image.

        Which score is compared is said as for :meth:`table`.
        """
        strangers = [other for other in others if not isinstance(other, Run)]
        if strangers:
            raise UsageError(f"{strangers[0]!r:.60} is no run; name explainers as explainers=[...]")
        folders = [self._folder, *(other._folder for other in others)]
        return comparison.compare(folders, list(explainers), self._score(metric, output, fill, kind))

    def _score(self, metric: str | None, output: str, fill: str, kind: str) -> str:
        """Return the name of the score that is meant, by default the one that a run is summed up by."""
        return queries.called(self._folder, metric or default_metric(self._folder), output=output, fill=fill, kind=kind)

    def plot_maps(self, explainers: Sequence[str] = (), classes: Sequence[str] = ()) -> "Figure":
        """Return a figure of maps: a row a class, the picture and then a column an explainer; by default all.

        Raises
        ------
        UsageError
            Where the run has no such explainer or class.
        """
        # matplotlib is slow to import, and tables do not need it.
        from harness.report.map_figures import gallery_figure

        for what, asked, held in (("explainer", explainers, self.explainers), ("class", classes, self.classes)):
            for name in (asked,) if isinstance(asked, str) else asked:
                if name not in held:
                    raise UsageError(
                        f"{self.path} has no {what} {name!r}{closest(name, held)}; it has {', '.join(held)}"
                    )
        return gallery_figure(
            self._folder,
            (explainers,) if isinstance(explainers, str) else explainers,
            (classes,) if isinstance(classes, str) else classes,
        )

    def report(self) -> Path:
        """Return the page of the run, one file; it is written, with tables and figures, where it is missing or older.

        A page is older than its run where the run was made again into the same folder.
        """
        page, made = self.path / PAGE, self.path / "run.json"
        if not page.is_file() or page.stat().st_mtime_ns < made.stat().st_mtime_ns:
            list(write_report(self._folder))
        return page
