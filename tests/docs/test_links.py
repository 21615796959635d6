"""Links between documents lead somewhere, and every document can be reached."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.markdown import REPOSITORY, list_documents, read_anchors, read_links

_ELSEWHERE = ("http://", "https://", "mailto:")


def find_broken(path: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    broken = []
    for link in read_links(path):
        if link.startswith(_ELSEWHERE):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        inside = target.is_relative_to(REPOSITORY)
        known = not anchor or (target.suffix == ".md" and anchor in read_anchors(target))
        if not (inside and target.exists() and known):
            broken.append(link)
    return broken


@pytest.mark.parametrize(
    "path", list_documents(), ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_document__its_relative_links__lead_to_files_and_headings(path: Path) -> None:
    """Each relative link names a file of the repository, and a heading in it where it says so."""
    assert find_broken(path) == []


def test_documents__index__leads_to_every_page() -> None:
    """Whoever reads docs/README.md finds every document below docs."""
    index = REPOSITORY / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in read_links(index)}
    pages = {path for path in list_documents() if path.parent != REPOSITORY} - {index}
    assert {str(page.relative_to(REPOSITORY)) for page in pages - linked} == set()


def test_links__broken_ones__are_found(tmp_path: Path) -> None:
    """A link to no file, to no heading, or out of the repository is broken; others are not."""
    page = REPOSITORY / "docs" / "README.md"
    lines = [
        f"[here]({page})",
        "[gone](no/such-file.md)",
        f"[no heading]({page}#nowhere)",
        f"[heading]({page}#learn)",
        "[outside](/etc/hostname)",
        "`[code](also/not.md)`",
        "[elsewhere](https://example.com/)",
    ]
    bad = tmp_path / "bad.md"
    bad.write_text("\n".join(lines))
    assert find_broken(bad) == ["no/such-file.md", f"{page}#nowhere", "/etc/hostname"]
