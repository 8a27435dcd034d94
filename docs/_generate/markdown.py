"""Small pieces of Markdown."""

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by docs/generate.py from {source}. Do not edit: change the source and run `make docs`. -->"


def page(title: str, source: str, *parts: str) -> str:
    """A page with the note that says where it comes from."""
    return "\n\n".join([f"# {title}", NOTE.format(source=source), *(part.strip("\n") for part in parts if part)]) + "\n"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what would break it in a cell is escaped."""
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def code(text: str) -> str:
    """Inline code, or nothing for an empty text."""
    return f"`{text}`" if text else ""


def codes(texts: Iterable[str]) -> str:
    """Inline code, several with commas between."""
    return ", ".join(map(code, texts))


def block(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def sentence(text: str) -> str:
    """A text on one line that ends with a full stop, in Markdown rather than reStructuredText."""
    flat = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.split()).replace("``", "`"))
    return flat if not flat or flat[-1] in ".:!?" else flat + "."


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring as a sentence."""
    return sentence((text or "").strip().split("\n\n")[0])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
