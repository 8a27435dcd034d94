"""Words in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipetrail.cli.table import Cell, Column, Cut, Table, cut_to
from pipetrail.cli.words import (
    ShortTimes,
    age_words,
    clean,
    container_of,
    kinds_meant,
    object_meant,
    object_words,
    size_words,
)
from pipetrail.documents.times import FullTimes
from pipetrail.model import ObjectRef, format_time
from pipetrail.model.times import PLAUSIBLE_FROM, PLAUSIBLE_TO, SECOND, parse_time
from tests.cli.journals import NIGHT, NOW, pod


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("po", "Pod"),
        ("pod", "Pod"),
        ("pods", "Pod"),
        ("Pods", "Pod"),
        ("job", "Job"),
        ("jobs.batch", "Job"),
        ("no", "Node"),
        ("pvc", "PersistentVolumeClaim"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("networkpolicies", "NetworkPolicy"),
        ("ingresses", "Ingress"),
        ("trainjobs.trainer.kubeflow.org", "TrainJob"),
        ("RayCluster", "RayCluster"),
    ],
)
def test_a_kind_is_understood_as_kubectl_does(word: str, kind: str) -> None:
    assert kind.lower() in [found.lower() for found in kinds_meant(word)]


def test_an_object_is_named_with_or_without_its_namespace() -> None:
    assert object_meant("pod/a") == ("", "pod", "a")
    assert object_meant("ml/pod/a") == ("ml", "pod", "a")
    assert object_words(pod("a")) == "ml/pod/a"
    assert object_words(pod("a"), namespace=False) == "pod/a"
    assert object_words(ObjectRef(kind="Node", name="n")) == "node/n"


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("spec.containers{main}", "main"),
        ("spec.initContainers{setup}", "setup"),
        ("spec.ephemeralContainers{look}", "look"),
        ("status.conditions{Ready}", ""),
        ("", ""),
    ],
)
def test_a_field_path_names_its_container(path: str, container: str) -> None:
    assert container_of(ObjectRef(field_path=path)) == container


@given(st.text())
def test_clean_text_is_printable_and_stays_so(text: str) -> None:
    found = clean(text)

    assert found.isprintable()
    assert clean(found) == found


def test_what_a_terminal_obeys_is_made_visible() -> None:
    assert clean("\x1b[31mred\x1b[0m") == "␛[31mred␛[0m"
    assert clean("a\nb\tc\x00\x7f") == "a␊b␉c␀␡"
    assert clean("\x9b1m\u202e\u200b\ud800\U000e0041") == "\\x9b1m\\u202e\\u200b\\ud800\\U000e0041"
    assert clean("a\u00a0b\u3000c") == "a b c"
    assert clean("Grüße, 世界 🎉") == "Grüße, 世界 🎉"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1288490189, "1.2 GiB"),
        (5 * 1024**5, "5.0 PiB"),
        (5000 * 1024**5, "5000.0 PiB"),
    ],
)
def test_sizes_are_short(size: int, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (59, "59s"), (303, "5m03s"), (11_100, "3h05m"), (187_200, "2d4h"), (340 * 86_400, "340d")],
)
def test_ages_are_short(seconds: int, words: str) -> None:
    assert age_words(seconds * SECOND) == words


def test_short_times_are_as_short_as_they_can_be() -> None:
    short = ShortTimes(NOW)

    assert short(NIGHT + 4_123_999) == "03:12:04.123"
    assert short(NIGHT - 86_400 * SECOND) == "11-23 03:12:00"
    assert short(parse_time("2024-11-24T03:12:59Z")) == "2024-11-24 03:12"
    assert short.inside(f"from {format_time(NIGHT)} on") == "from 03:12:00.000 on"
    assert short(1 << 61) == str(1 << 61)


@given(st.integers(PLAUSIBLE_FROM, PLAUSIBLE_TO))
def test_fast_times_are_those_of_the_model(at: int) -> None:
    assert FullTimes()(at) == format_time(at)


def test_many_different_seconds_do_not_fill_the_memory() -> None:
    full, short = FullTimes(), ShortTimes(NOW)
    for second in range(25_000):
        full(NIGHT + second * SECOND)
        short(NIGHT + second * SECOND)

    assert len(full._seconds) <= 10_001
    assert len(short._seconds) <= 10_001


cuts: st.SearchStrategy[Cut] = st.sampled_from(["end", "middle", "path"])


@given(st.text(st.characters(codec="utf-8")).map(clean), st.integers(8, 60), cuts)
def test_a_cut_text_fits_and_a_short_one_is_left_alone(text: str, width: int, where: Cut) -> None:
    found = cut_to(text, width, where)

    assert cell_len(found) <= width
    assert found == text or (cell_len(text) > width and "…" in found)


@pytest.mark.parametrize(
    ("text", "width", "where", "expected"),
    [
        ("abcdefghij", 5, "end", "abcd…"),
        ("abcdefghij", 5, "middle", "ab…ij"),
        ("ml-team-a/pod/train-0", 18, "path", "ml-te…/pod/train-0"),
        ("ml/pod/train-llama-70b-worker-0", 20, "path", "ml/pod/trai…worker-0"),
        ("ml-team-a/pod/train-llama", 14, "path", "ml-…/pod/…lama"),
        ("世界世界", 5, "end", "世界…"),
        ("x" * 1_000_000, 3, "end", "xx…"),
        ("abc", 1, "end", "…"),
    ],
)
def test_a_cut_says_where_something_is_missing(text: str, width: int, where: Cut, expected: str) -> None:
    assert cut_to(text, width, where) == expected


def test_a_table_keeps_its_columns_from_block_to_block() -> None:
    table = Table([Column("A"), Column("B")])

    assert table.lines([["aaaa", "b"]]) == "A     B\naaaa  b\n"
    assert table.lines([["a", "b"]]) == "a     b\n"
    assert table.lines([["aaaaaa", "b"], ["a", "b"]]) == "aaaaaa  b\na       b\n"


def test_colours_do_not_shift_columns() -> None:
    table = Table([Column("A"), Column("B", right=True), Column("C")], colour=True)

    shown = table.lines([[Cell("x", "red"), "1", "c"]])

    assert shown.splitlines()[1] == "\x1b[31mx\x1b[0m  1  c"
