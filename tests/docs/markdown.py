"""Reading the documents: which there are, their blocks of code, their links and headings."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*([\w+-]*)\s*$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its text."""

    path: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Return file and line, as errors name them."""
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}"


def list_documents() -> list[Path]:
    """Return every Markdown file of the repository, in order."""
    return sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def read_blocks(path: Path, *languages: str) -> list[Block]:
    """Return the fenced blocks of a document, those of ``languages`` alone where any is given."""
    found = list(_blocks(path))
    return [block for block in found if not languages or block.language in languages]


def _blocks(path: Path) -> Iterator[Block]:
    opened: tuple[int, str, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                opened = (number, fence[1], fence[2], fence[3])
                lines = []
        elif fence and not fence[3] and fence[2].startswith(opened[2]):
            start, indent, _, language = opened
            text = "".join(text.removeprefix(indent) + "\n" for text in lines)
            yield Block(path, start, language, text)
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"{path}: the block at line {opened and opened[0]} has no end"


def read_prose(path: Path) -> str:
    """Return a document without its fenced blocks and code spans."""
    text = path.read_text()
    for block in read_blocks(path):
        text = text.replace(block.text, "\n", 1)
    return _CODE.sub("", text)


def read_links(path: Path) -> list[str]:
    """Return the targets of a document's links and images."""
    return _LINK.findall(read_prose(path))


def read_anchors(path: Path) -> set[str]:
    """Return the anchors that a document's headings get (as GitHub makes them)."""
    text = path.read_text()
    for block in read_blocks(path):
        text = text.replace(block.text, "\n", 1)
    anchors: set[str] = set()
    for heading in _HEADING.findall(text):
        kept = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        anchor = kept
        while anchor in anchors:
            number += 1
            anchor = f"{kept}-{number}"
        anchors.add(anchor)
    return anchors
