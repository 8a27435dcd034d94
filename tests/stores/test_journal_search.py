"""Words in messages: each must be there as the beginning of a word; whatever people type is taken as words."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Query
from pipetrail.stores.sqlite.filters import match_words
from pipetrail.testing import strategies
from pipetrail.testing.strategies import HOSTILE, WORDS
from tests.stores import facts

MESSAGES = (
    'Back-off pulling image "registry.io/ml/train:v1"',
    "pod train-x7k2p-worker-0 was OOMKilled",
    "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.",
    "NOT a match AND no match",
    "before\0after the nul",
    "🔥 the node is on fire 🔥",
    "path C:\\temp\\model 100% done_well",
    "Größe überschritten: ÄRGER",
    "",
)


def search(text: str, full_text: bool = True) -> set[int]:
    with facts.opened(full_text=full_text, segment_events=4) as opened:
        for number, message in enumerate(MESSAGES):
            opened.store.append([facts.batch([], events=[facts.event(number, message=message)])])
        found = {item.message for item in opened.store.events(Query(text=text))}
    return {number for number, message in enumerate(MESSAGES) if message in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pulling", {0}),
        ("pull", {0}),
        ("PULLING image", {0}),
        ("image pulling", {0}),
        ("train-x7k2p", {1}),
        ("train-x7", {1}),
        ("x7k2p-worker-0", {1}),
        ("train", {0, 1}),
        ("registry.io/ml", {0}),
        ('"registry.io', {0}),
        ("nvidia.com/gpu", {2}),
        ("NOT", {3}),
        ("AND", {3}),
        ("match NOT", {3}),
        ("OR", set()),
        ("NEAR(", set()),
        ("text:foo", set()),
        ("^pod", {1}),
        ("pod*", {1}),
        ("after", {4}),
        ("before\0after", {4}),
        ("\0", set(range(len(MESSAGES)))),
        ("🔥", {5}),
        ("🔥 node", {5}),
        ("💾", set()),
        ("node 🔥", {5}),
        ("größe", {7}),
        ("missing", set()),
        ("pod missing", set()),
        ("", set(range(len(MESSAGES)))),
        ("   ", set(range(len(MESSAGES)))),
        ("100%", {6}),
    ],
)
def test_words_are_found_as_beginnings(text: str, expected: set[int]) -> None:
    assert search(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ulling", {0}),
        ("OOMKILLED pod", {1}),
        ("after", {4}),
        ("🔥", {5}),
        ("100%", {6}),
        ("%", {6}),
        ("done_w", {6}),
        ("doneXw", set()),
        ("C:\\temp", {6}),
        ("", set(range(len(MESSAGES)))),
    ],
)
def test_without_the_index_words_are_found_anywhere(text: str, expected: set[int]) -> None:
    assert search(text, full_text=False) == expected


@pytest.mark.parametrize("full_text", [True, False])
@given(text=st.one_of(strategies.texts, st.sampled_from(HOSTILE)))
def test_nothing_that_people_type_is_an_error(full_text: bool, text: str) -> None:
    with facts.opened(full_text=full_text) as opened:
        opened.store.append([facts.batch([1, 2])])
        list(opened.store.events(Query(text=text)))


def tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())


def found_in(message: str, word: str) -> bool:
    """A word stands in a message where its parts stand in a row, the last one as a beginning."""
    wanted, there = tokens(word), tokens(message)
    return any(
        there[at : at + len(wanted) - 1] == wanted[:-1] and there[at + len(wanted) - 1].startswith(wanted[-1])
        for at in range(len(there) - len(wanted) + 1)
    )


@given(
    messages=st.lists(strategies.messages, min_size=1, max_size=8, unique=True),
    words=st.lists(
        st.one_of(st.sampled_from(WORDS), st.sampled_from(["po", "7f9c", "tra", "mem", "exit"])), max_size=3
    ),
)
def test_the_index_answers_as_plain_python_would(messages: list[str], words: list[str]) -> None:
    with facts.opened(segment_events=3) as opened:
        for number, message in enumerate(messages):
            opened.store.append([facts.batch([], events=[facts.event(number, message=message)])])
        found = [item.message for item in opened.store.events(Query(text=" ".join(words)))]

    assert found == [message for message in messages if all(found_in(message, word) for word in words)]


def test_a_redacted_message_is_not_found_by_its_secret() -> None:
    from pipetrail.kube.keep import redact
    from pipetrail.stores.sqlite import Journal, JournalReader

    with facts.folder() as place:
        journal = Journal(str(place / "j.db"), redact=redact)
        journal.append([facts.batch([], events=[facts.event(1, message="login failed: password=swordfish")])])
        with JournalReader(journal.path) as reader:
            assert list(reader.events(Query(text="swordfish"))) == []
            assert [item.message for item in reader.events(Query(text="login"))] == [
                "login failed: password=[redacted]"
            ]
        journal.close()
        assert b"swordfish" not in b"".join(file.read_bytes() for file in place.iterdir())


@pytest.mark.parametrize("full_text", [True, False])
def test_the_index_can_be_turned_on_and_off_between_two_recordings(full_text: bool) -> None:
    with facts.opened(full_text=not full_text) as opened:
        opened.store.append([facts.batch([], events=[facts.event(0, message="pulling the image")])])
        opened.store.close()
        opened.store = facts.SqliteStore(opened.path, full_text=full_text)
        opened.store.append([facts.batch([], events=[facts.event(1, message="pulled the image")])])
        opened.store.append([facts.batch([], events=[facts.event(2, message="the image was pulled")])])

        assert len(list(opened.store.events(Query(text="pull")))) == 3
        assert opened.store.reader.db.execute("SELECT count(*) FROM segments").get == 2


def test_words_become_quoted_beginnings() -> None:
    assert match_words(["a", 'b"c']) == '"a"* "b""c"*'
