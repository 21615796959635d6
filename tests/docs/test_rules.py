"""The rules that the code cites by number are on the page of rules, each with its anchor."""

import re
from pathlib import Path

from tests.docs.markdown import REPOSITORY, read_anchors

PAGE = REPOSITORY / "docs" / "explanation" / "rules.md"
PACKAGE = REPOSITORY / "src" / "tellus"

_ID = r"[A-Z]\d{1,2}[a-z]?"
_CITATION = re.compile(rf"\b[Rr]ules? ({_ID}(?:(?:, and|, or|,| and| or| to) {_ID})*)\b")
_RANGE = re.compile(r"([A-Z])(\d{1,2}) to \1(\d{1,2})")
_LINE_END = re.compile(r"\s*\n\s*(?:#|--)?:?\s*")
_DEFINITION = re.compile(rf"^### ({_ID})$", re.MULTILINE)
_MENTION = re.compile(r"\b[EPDRCUL]\d{1,2}[a-z]?\b")


def cited_rules(source: str) -> set[str]:
    """The numbers that a file cites as rules, also where the line ends in between."""
    cited: set[str] = set()
    for citation in _CITATION.findall(_LINE_END.sub(" ", source)):
        cited.update(re.findall(_ID, citation))
        for letter, first, last in _RANGE.findall(citation):
            cited.update(f"{letter}{number}" for number in range(int(first), int(last) + 1))
    return cited


def find_undefined(source: str, page: str) -> set[str]:
    """The numbers that a file cites and the page does not explain."""
    return cited_rules(source) - set(_DEFINITION.findall(page))


def find_without_anchor(page: Path) -> set[str]:
    """The numbers that stand anywhere on the page and cannot be linked to."""
    anchors = read_anchors(page)
    return {rule for rule in _MENTION.findall(page.read_text()) if rule.lower() not in anchors}


def list_sources() -> list[Path]:
    """The files of the package that people write."""
    return sorted(path for kind in ("py", "toml", "sql") for path in PACKAGE.rglob(f"*.{kind}"))


def test_sources__rules_they_cite__are_on_the_page() -> None:
    """Whoever reads the number of a rule in the code finds the rule."""
    page = PAGE.read_text()
    undefined = {
        str(path.relative_to(PACKAGE)): found
        for path in list_sources()
        if (found := find_undefined(path.read_text(), page))
    }
    assert undefined == {}


def test_citations__of_every_form__are_seen() -> None:
    """One rule, several, a range and a broken line are seen; a rule without number is none."""
    assert cited_rules('"""Judged alone (rule P4)."""') == {"P4"}
    assert cited_rules("# by rules E1, E5 and U3a") == {"E1", "E5", "U3a"}
    assert cited_rules("Decide (rules R1 to R4).") == {"R1", "R2", "R3", "R4"}
    assert cited_rules("    # as rule\n    # D12 says") == {"D12"}
    assert cited_rules("JSON is the rule. Rules Decide. rule A") == set()
    assert sum(bool(cited_rules(path.read_text())) for path in list_sources()) > 5


def test_citations__of_rules_that_do_not_exist__are_found_out() -> None:
    """A made-up number is told from those of the page."""
    source = '"""Stored (rule X1), flagged (rule P4), counted (rules D6 to D9)."""'
    assert find_undefined(source, PAGE.read_text()) == {"X1", "D8", "D9"}


def test_page__rules_on_it__have_an_anchor_each() -> None:
    """Every number on the page can be linked to, and each is explained once, in some words."""
    assert find_without_anchor(PAGE) == set()
    rules = _DEFINITION.findall(PAGE.read_text())
    assert len(rules) == len(set(rules)) > 40
    parts = re.split(r"^#{2,3} .*$", PAGE.read_text(), flags=re.MULTILINE)
    assert [part for part in parts if len(part.split()) < 8] == []


def test_page__rule_without_a_heading__is_found_out(tmp_path: Path) -> None:
    """A rule in bold, or one that is named but not explained, has no anchor."""
    page = tmp_path / "page.md"
    page.write_text("# Rules\n\n### E1\n\nAs F-0301 and E2 say.\n\n**P3** is bold.\n")
    assert find_without_anchor(page) == {"E2", "P3"}
