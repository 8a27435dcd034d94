"""Bytes are cut into lines at newlines only, however they come."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube.lines import Lines, LineTooLong
from pipetrail.testing.strategies import json_values


def fed(chunks: list[bytes], limit: int = 1 << 20) -> tuple[bytes, bytes]:
    """The whole lines, and what was left at the end."""
    lines = Lines(limit)
    whole = b"".join(lines.feed(chunk) for chunk in chunks)
    return whole, lines.rest()


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=6),
    tail=st.binary(max_size=10).map(lambda line: line.replace(b"\n", b"")),
    cuts=st.lists(st.integers(0, 200), max_size=20),
)
def test_any_chunking_gives_the_same_lines(lines: list[bytes], tail: bytes, cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)

    assert fed(chunked(data + tail, cuts)) == (data, tail)


@given(values=st.lists(json_values, max_size=4), cuts=st.lists(st.integers(0, 400), max_size=20))
def test_json_lines_come_out_as_they_went_in(values: list[object], cuts: list[int]) -> None:
    data = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
    whole, rest = fed(chunked(data, cuts))

    assert [json.loads(line) for line in whole.split(b"\n")[:-1]] == values
    assert rest == b""


def test_separators_of_unicode_do_not_end_a_line() -> None:
    line = '{"message":"a\x85b\u2028c\u2029d\x0be\x0cf\rg"}\n'.encode()

    assert fed([line[:20], line[20:]]) == (line, b"")


def test_every_part_of_a_line_comes_with_its_newline_at_once_or_not_at_all() -> None:
    lines = Lines()

    assert lines.feed(b"one") == b""
    assert lines.feed(b"\ntwo\nthr") == b"one\ntwo\n"
    assert lines.feed(b"ee") == b""
    assert lines.rest() == b"three"


def test_a_line_longer_than_the_limit_is_an_error_and_one_as_long_is_not() -> None:
    assert fed([b"x" * 10, b"\n"], limit=10) == (b"x" * 10 + b"\n", b"")
    with pytest.raises(LineTooLong, match="longer than 10 bytes"):
        fed([b"x" * 10, b"x"], limit=10)


def test_a_large_object_in_small_chunks_is_joined_once() -> None:
    """8 MiB in pieces of 1 kB: quadratic joining would take minutes."""
    line = b"x" * (8 << 20) + b"\n"

    assert fed([line[at : at + 1024] for at in range(0, len(line), 1024)], limit=1 << 24) == (line, b"")
