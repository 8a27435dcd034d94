"""Tables that come block by block: a long list is laid out as it is read, and never held as a whole.

The first block sets the widths of the columns; a later, longer cell widens its column up to the bound that the width of
the screen sets. The last column takes the rest of the line.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import click
import msgspec

from pipetrail.cli.screen import Screen

Cut = Literal["end", "middle", "path", "never"]
_PLAIN = re.compile(r"[\x20-\u02ff\u2026\u2717\u2400-\u2421]*")  # each one column wide
_NARROW = 100  # a narrower screen has one space between columns
_FIRST_LEAST = 4
_LEAST = 8  # what is left of a column that was cut
_REST_LEAST = 16  # a last column with less than this does not say anything, where it has more to say


class Column(msgspec.Struct, frozen=True):
    """A column. ``share`` is the most of the screen that it takes, in hundredths, where the screen has a width.

    ``cut`` says where a cell that is too long loses something: its end, its middle, or (``path``) first of all the end
    of its part before the first slash. ``never`` keeps it whole.
    """

    title: str
    share: int = 100
    cut: Cut = "never"
    right: bool = False


class Cell(msgspec.Struct, frozen=True):
    """A text with a colour (and bold). The text must be clean: it is printed as it is."""

    text: str
    colour: str | None = None
    bold: bool = False
    dim: bool = False


class Banner(msgspec.Struct, frozen=True):
    """A text over the whole width of the table, between its rows; wrapped, never cut."""

    text: str
    colour: str


Row = Sequence[Cell | str] | Banner


def cell_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if _PLAIN.fullmatch(text):
        return len(text)
    from rich.cells import cell_len  # only where there may be something that is not one column wide

    return cell_len(text)


class Table:
    """Lays rows out as lines.

    :param columns: the columns; the last takes what is left.
    :param width: of the screen; 0 for no limit.
    :param colour: whether colours are written.
    """

    def __init__(self, columns: Sequence[Column], width: int = 0, colour: bool = False, header: bool = True) -> None:
        self._columns = columns
        self._width = width
        self._colour = colour
        self._gap = " " if 0 < width < _NARROW else "  "
        self._header = header
        self._widths = [cell_width(column.title) if header else 0 for column in columns]
        self._rest_least = 0

    def lines(self, rows: Iterable[Row]) -> str:
        """The lines of the next rows, with the header before the first of all."""
        block = list(rows)
        self._fit([row for row in block if not isinstance(row, Banner)])
        found = []
        if self._header:
            self._header = False
            found.append(self._line([Cell(column.title, bold=True) for column in self._columns]))
        found += [self._banner(row) if isinstance(row, Banner) else self._line(row) for row in block]
        return "".join(line + "\n" for line in found)

    def _fit(self, rows: Sequence[Sequence[Cell | str]]) -> None:
        for number, column in enumerate(self._columns[:-1]):
            most = self._width * column.share // 100 if self._width and column.cut != "never" else 0
            longest = max((cell_width(_text(row[number])) for row in rows), default=0)
            self._widths[number] = max(self._widths[number], min(longest, most) if most else longest)
        if self._width and self._columns[-1].cut != "never":
            longest = max((cell_width(_text(row[-1])) for row in rows), default=0)
            self._rest_least = max(self._rest_least, self._widths[-1], min(longest, _REST_LEAST))
            self._make_room()

    def _make_room(self) -> None:
        """Leave the last column its least, at the cost of the widest that may be cut."""
        widths = self._widths
        for_all = self._width - self._rest_least - len(self._gap) * (len(widths) - 1)
        while sum(widths[:-1]) > for_all:
            cuttable = [
                i for i, column in enumerate(self._columns[:-1]) if column.cut != "never" and widths[i] > _LEAST
            ]
            if not cuttable:
                return
            widths[max(cuttable, key=widths.__getitem__)] -= 1

    def _line(self, row: Sequence[Cell | str]) -> str:
        parts = []
        last = len(self._columns) - 1
        used = 0
        for number, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
            text = _text(cell)
            if number == last:
                room = max(self._rest_least, self._width - used) if self._width and column.cut != "never" else 0
                shown, pad = (cut_to(text, room, column.cut) if room else text), 0
            else:
                width = self._widths[number]
                shown = cut_to(text, width, column.cut) if column.cut != "never" else text
                pad = max(0, width - cell_width(shown))
                used += width + len(self._gap)
            styled = self._styled(shown, cell)
            parts.append(" " * pad + styled if column.right else styled + " " * pad)
        return self._gap.join(parts).rstrip()

    def _styled(self, text: str, cell: Cell | str) -> str:
        if not self._colour or isinstance(cell, str) or not (cell.colour or cell.bold or cell.dim):
            return text
        return click.style(text, fg=cell.colour, bold=cell.bold or None, dim=cell.dim or None)

    def _banner(self, banner: Banner) -> str:
        width = self._width or cell_width(banner.text) + 6
        lines = [f"▒▒ {line}".ljust(width - 2) + "▒▒" for line in wrapped(banner.text, max(_REST_LEAST, width - 6))]
        if self._colour:
            lines = [click.style(line, fg=banner.colour, reverse=True) for line in lines]
        return "\n".join(lines)


def _text(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text


def cut_to(text: str, width: int, where: Cut = "end") -> str:
    """A text in at most so many columns of a terminal, with … where something is missing."""
    if cell_width(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    if where == "end":
        return _head(text, width - 1) + "…"
    if where == "path" and "/" in text:
        first, _, rest = text.partition("/")
        first = cut_to(first, max(_FIRST_LEAST, width - cell_width(rest) - 1)) + "/"
        return first + cut_to(rest, width - cell_width(first), "middle")
    tail = (width - 1) // 2
    end = _head(text[::-1], tail)[::-1]
    return _head(text, width - 1 - cell_width(end)) + "…" + end


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    text = text[: width + 64]  # some characters take no room: keep a few more, not a megabyte
    while cell_width(text) > width:
        text = text[:-1] if not text.isascii() else text[:width]
    return text


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most so many columns."""
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def coloured(text: str, colour: str, screen: Screen) -> str:
    """A line of bold text, in as many lines as the screen needs for it."""
    text = "\n".join(wrapped(text, screen.width)) + "\n" if screen.width else text
    return click.style(text, fg=colour, bold=True) if screen.colour else text
