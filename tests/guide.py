"""The examples of CONTRIBUTING.md, as one file that somebody else could have written."""

from pathlib import Path

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def examples() -> dict[str, str]:
    """Return the code of each example by the heading it stands under."""
    sections = [section for section in GUIDE.read_text().split("\n## ")[1:] if "```python" in section]
    return {section.splitlines()[0]: section.split("```python\n")[1].split("```")[0] for section in sections}
