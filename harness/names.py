"""Names that users and files bring, and how what they say is shown: checked and made harmless in one place."""

import re
import unicodedata

LONGEST = 100
"""Letters of a name: more fill a terminal, and a folder or file of that name cannot be made."""

MEAN_FACE, MEAN_IMAGE = "mean-face", "mean-image"
"""The control that shows the mean picture of the class: what it is called of faces, and of anything else."""

TABLES_OWN = frozenset({
    "all", "better", "class", "difference", "explainer", "images", "metric", "n", "p", "recall",
    "tells truth from noise", "w", MEAN_FACE, MEAN_IMAGE, "oracle", "truth",
})  # fmt: skip
"""Words that tables use themselves: their columns and rows, and the maps of known worth that every run carries."""
_TABLES_FORMS = re.compile(r"^(oracle|truth)-noise-|\s(defined|undefined)$")

_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters, halves of characters, separators of lines and paragraphs."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that let a text run backwards."""


def printable(text: str) -> str:
    r"""Return a text in which what moves a terminal or hides letters is written out; lines stay lines.

    Examples
    --------
    >>> printable("red \x1b[31m\nline")
    'red \\x1b[31m\nline'
    """
    return "".join(letter if letter in "\n\t" or not _hides(letter) else ascii(letter)[1:-1] for letter in text)


def one_line(text: str) -> str:
    r"""Return a text as :func:`printable` has it, in one line.

    Examples
    --------
    >>> one_line("two\nlines.png")
    'two\\nlines.png'
    """
    return "".join(ascii(letter)[1:-1] if letter in "\n\t" else letter for letter in printable(text))


def name_fault(name: object) -> str:
    r"""Return why something cannot be a name, in words that follow "is", or "" where it can.

    Examples
    --------
    >>> name_fault("Happy"), name_fault(3), name_fault("a\x1b[2J")
    ('', "no text; give it in letters or digits, '0' and not 0", 'text that moves or hides what is printed')
    """
    if not isinstance(name, str) or not name.strip():
        return "no text; give it in letters or digits, '0' and not 0"
    if any(_hides(letter) for letter in name):
        return "text that moves or hides what is printed"
    if len(name) > LONGEST:
        return f"of {len(name)} letters; give at most {LONGEST}"
    return ""


def explainer_name_fault(name: object) -> str:
    """Return why something cannot be an explainer's name, in words that follow "is", or "" where it can.

    Examples
    --------
    >>> explainer_name_fault("truth")
    'a word of the tables themselves; choose another'
    """
    fault = name_fault(name)
    if fault:
        return fault
    own = str(name).lower() in TABLES_OWN or _TABLES_FORMS.search(str(name))
    return "a word of the tables themselves; choose another" if own else ""


def _hides(letter: str) -> bool:
    """Whether a character is not to be seen where it stands."""
    return unicodedata.category(letter) in _HIDDEN or letter in _TURNING
