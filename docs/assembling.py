"""What mkdocs asks while it builds the site: pages from what is written or said elsewhere, so that it stands once.

A paragraph that is a link and nothing else, ``[Title](../README.md#some-heading)``, to a file beside docs/ becomes that
section's text (the whole file's where no heading is named). Notebooks and the command line's help become pages. Links
to the rest of the repository lead to its page, bring its picture along, or are left as text.
"""

import argparse
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.cli.main import command_parser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HOMES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "adding/explainer.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
}
"""Pages on which files beside docs/ are shown."""

WIDE = ("metrics.md", "explainers.md", "checks.md", "architectures.md", "judging-the-judge.md", "rungs.md")
"""Pages of one wide table, which has the place of the table of contents."""

_INCLUDED = re.compile(r"\[[^\]]*\]\((?P<file>\.\.[^)#]*\.md)(?:#(?P<slug>[^)]*))?\)")
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)]*)?\)")
_HEADING = re.compile(r"#+ (?P<text>.*)")


# ---------------------------------------------------------------------- what mkdocs calls


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made: the command line's, and one a notebook."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "command-line.md", content=command_line()))
    for notebook in sorted((DOCS / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page_of(notebook)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return the page with what it includes, its links leading within the site."""
    from mkdocs.structure.files import File

    def brought(path: Path) -> str:
        uri = f"repository/{path.relative_to(ROOT).as_posix()}"
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=str(path)))
        return uri

    here = DOCS / page.file.src_uri
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    return "".join(relinked(text, source, here, brought) for text, source in parts(markdown, here))


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Return a page without the roles that docstrings name what they refer to by."""
    return re.sub(r":(class|func|mod|meth|attr|data):(?=<code>)", "", html)


# ---------------------------------------------------------------------- sections


def parts(markdown: str, page: Path) -> Iterator[tuple[str, Path]]:
    """Yield the text of a page in pieces, each with the file that it was written in.

    Raises
    ------
    ValueError
        Where a section is included that does not exist.
    """
    for is_code, text in blocks(markdown):
        for line in [text] if is_code else text.splitlines(keepends=True):
            found = None if is_code else _INCLUDED.fullmatch(line.strip())
            if found is None:
                yield line, page
                continue
            source = (page.parent / found["file"]).resolve()
            yield section(source.read_text(encoding="utf-8"), found["slug"], source.name) + "\n", source


def section(text: str, slug: str | None, name: str) -> str:
    """Return what stands under a heading, up to the next one; without a slug all that follows the title."""
    held: list[str] | None = None
    for is_code, block in blocks(text):
        for line in [block] if is_code else block.splitlines(keepends=True):
            heading = None if is_code else _HEADING.match(line)
            if heading is None or (slug is None and held is not None):
                if held is not None:
                    held.append(line)
            elif held is not None:
                return "".join(held)
            elif slug is None or slug == slug_of(heading["text"]):
                held = []
    if held is None:
        raise ValueError(f"{name} has no heading #{slug}")
    return "".join(held)


def slug_of(heading: str) -> str:
    """Return a heading's anchor.

    Examples
    --------
    >>> slug_of("harness: which one?"), slug_of("A check")
    ('harness-which-one', 'a-check')
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def blocks(text: str) -> Iterator[tuple[bool, str]]:
    """Yield a text in pieces, and whether each is code between fences."""
    for number, piece in enumerate(re.split(r"(?ms)^(```.*?^```[^\n]*\n?)", text)):
        if piece:
            yield number % 2 == 1, piece


# ---------------------------------------------------------------------- links


def relinked(text: str, source: Path, page: Path, brought: Callable[[Path], str]) -> str:
    """Return a text written in `source` with its links as `page` needs them; code is left as it is."""
    if text.startswith("```"):
        return text

    def replaced(found: re.Match[str]) -> str:
        target = (source.parent / found["path"]).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            return found[0]
        uri = _uri(target, brought)
        if uri is None:
            return found["text"]
        where = os.path.relpath(DOCS / uri, page.parent)
        return f"{found['image']}[{found['text']}]({where}{found['anchor'] or ''})"

    return _LINK.sub(replaced, text)


def _uri(target: Path, brought: Callable[[Path], str]) -> str | None:
    """Return where the site has a file of the repository, None where it has not."""
    name = target.relative_to(ROOT).as_posix()
    if name in HOMES:
        return HOMES[name]
    if target.is_dir():
        return None
    if target.is_relative_to(DOCS):
        kept = target.suffix not in (".py", ".json")
        return target.relative_to(DOCS).as_posix() if kept else None
    return brought(target) if target.suffix == ".png" else None


# ---------------------------------------------------------------------- pages that are made


def command_line() -> str:
    """Return a page of every command's help, as the command line prints it."""
    (commands,) = (each for each in command_parser()._actions if isinstance(each, argparse._SubParsersAction))
    told = {each.dest: each.help or "" for each in commands._choices_actions}
    lines = ["# Command line", "Exit status: 0 done, 1 a check that was asked for failed (`--strict`), 2 wrong use."]
    for name, parser in commands.choices.items():
        said = io.StringIO()
        parser.print_help(said)
        lines += [f"## harness {name}", told[name].capitalize() + ".", f"```text\n{said.getvalue()}```"]
    return "\n\n".join(lines) + "\n"


def page_of(notebook: Path) -> str:
    """Return a notebook's text and code as a page."""
    pieces = [f"[Download this notebook]({notebook.name}){{: download }}"]
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        pieces.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    first, title, *rest = pieces
    return "\n\n".join([title, first, *rest]) + "\n"
