"""How every page is made: names are escaped, and a policy lets in the page's own style and script alone."""

import base64
import hashlib
import re
from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parent / "templates"
OWN = {"style": "style.css", "script": "script.js"}


def rendered(template: str, **contents: object) -> str:
    """Return a page; to what it holds come its style and script with the digests that its policy names."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**_own(), **contents)


def scoped() -> str:
    """Return the pages' style as rules for one element that lies within a page of somebody else."""
    text = (TEMPLATES / OWN["style"]).read_text(encoding="utf-8")
    return re.sub(r"(?m)^(\s*)(:root|body)(?= \{)", r"\1:scope", text)


def picture_source(png: bytes) -> str:
    """Return a picture as text that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _own() -> dict[str, str]:
    """Return style and script, and their digests."""
    made: dict[str, str] = {}
    for what, name in OWN.items():
        text = (TEMPLATES / name).read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
        made |= {what: text, f"{what}_digest": f"sha256-{digest}"}
    return made
