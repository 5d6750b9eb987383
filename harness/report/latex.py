"""Tables of a paper that uses booktabs: names are text and never commands, wide tables are several below each other."""

from collections.abc import Callable, Sequence

import pandas as pd

from harness.report.wording import folded

COLUMNS = 6
"""Columns of values that stand beside each other on a page, each as wide as an interval in small letters."""
HEAD = 12
"""Letters of a column's name before it breaks."""

_TEXT = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\^{}", "<": r"\ensuremath{<}", ">": r"\ensuremath{>}",
        "–": "--", "…": r"\ldots{}", "×": r"\ensuremath{\times}", "∞": r"\ensuremath{\infty}",
        # At the start of a row they would be read as an argument of the line break before it.
        "[": "{[}", "*": "{*}",
    }
)  # fmt: skip


def text(plain: str) -> str:
    r"""Return a text as LaTeX prints it.

    Examples
    --------
    >>> text("50 % of [a_b]")
    '50 \\% of {[}a\\_b]'
    """
    return plain.translate(_TEXT)


def cell(value: str, below: str = "", *, best: bool = False) -> str:
    r"""Return a cell, bold where it is the best, with what stands below it in small letters.

    Examples
    --------
    >>> cell("0.5"), cell("a_b", best=True)
    ('0.5', '\\textbf{a\\_b}')
    >>> cell("87 %", "85-89")
    '\\begin{tabular}[t]{@{}r@{}}87 \\%\\\\{\\scriptsize 85-89}\\end{tabular}'
    """
    held = rf"\textbf{{{text(value)}}}" if best else text(value)
    return _stacked([held, rf"{{\scriptsize {text(below)}}}"], "r") if below else held


def _stacked(lines: Sequence[str], side: str) -> str:
    """Return lines below each other, the first on the row's own line."""
    held = r"\\".join(lines)
    return rf"\begin{{tabular}}[t]{{@{{}}{side}@{{}}}}{held}\end{{tabular}}"


def tabulars(
    shown: pd.DataFrame, sides: Sequence[str], fixed: Sequence[str], shaped: Callable[[str, str, str], str]
) -> str:
    """Return a table as one or several ``tabular``.

    Parameters
    ----------
    shown
        Text throughout; the first column names the row.
    sides
        ``left`` or ``right``, one a column.
    fixed
        Columns that stand in each of them.
    shaped
        (row's name, column's name, text) -> what LaTeX is given for the cell.
    """
    side = dict(zip(shown.columns, sides, strict=True))
    free = [name for name in shown.columns if name not in fixed]
    count = max(1, -(-len(free) // COLUMNS))
    size = max(1, -(-len(free) // count))
    blocks = [free[start : start + size] for start in range(0, len(free), size)] or [[]]
    return "\n\n\\bigskip\n\n".join(_tabular(shown[[*fixed, *names]], side, shaped) for names in blocks)


def _tabular(shown: pd.DataFrame, side: dict[str, str], shaped: Callable[[str, str, str], str]) -> str:
    """Return one ``tabular``."""
    names = [str(name) for name in shown.columns]
    rows = [[shaped(str(row[0]), name, str(value)) for name, value in zip(names, row, strict=True)]
            for row in shown.itertuples(index=False)]  # fmt: skip
    lines = [
        rf"\begin{{tabular}}{{{''.join(side[name][0] for name in names)}}}",
        r"\toprule",
        " & ".join(_head(name, side[name][0]) for name in names) + r" \\",
        r"\midrule",
        "\n\\addlinespace[2pt]\n".join(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _head(name: str, side: str) -> str:
    """Return a column's name, a long one in several lines."""
    lines = [text(line) for line in folded(name, HEAD).split("\n")]
    return lines[0] if len(lines) == 1 else _stacked(lines, side)
