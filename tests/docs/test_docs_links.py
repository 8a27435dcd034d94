"""Links between documents lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, documents, names

_LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
DOCUMENTS = documents()


def links(text: str) -> list[str]:
    """The relative links of a document; those in code are none."""
    found = _LINK.findall(_CODE.sub("`code`", _FENCE.sub("", text)))
    return [link for link in found if not re.match(r"[a-z][a-z0-9+.-]*:", link)]


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as the usual renderers make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", _FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        numbered = anchor
        number = 0
        while numbered in found:
            number += 1
            numbered = f"{anchor}-{number}"
        found.add(numbered)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_no_link_is_dead(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dead = []
    for link in links(text):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if (
            not target.exists()
            or not target.is_relative_to(ROOT)
            or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")))
        ):
            dead.append(link)

    assert dead == []


def test_links_in_code_and_to_the_outside_are_left_alone() -> None:
    text = "[a](a.md) `[b](b.md)` [c](https://example.org/c) ![d](d.svg)\n```\n[e](e.md)\n```\n[f](#f)"

    assert links(text) == ["a.md", "d.svg", "#f"]


def test_anchors_are_those_of_the_headings() -> None:
    text = "# Exit codes\n## `clusters[]`\n## Exit codes\n```\n# no heading\n```\n### Why? So: that"

    assert anchors(text) == {"exit-codes", "clusters", "exit-codes-1", "why-so-that"}
