"""The file `<journal>.sinks`: transactions, one writer, and what is said when it can't be used."""

import stat
from pathlib import Path

import apsw
import pytest

from pipetrail.sinks.backlog import Hole
from pipetrail.sinks.figures import FAILURES, SinkFigures, lag
from pipetrail.sinks.schema import StateBusy, StateError
from pipetrail.sinks.state import DeadLetter, Position, Settled, State, read_figures
from pipetrail.testing.deliveries import START, delivery


def figures(**known: object) -> SinkFigures:
    return SinkFigures(name="test", type="file", **known)  # type: ignore[arg-type]


def letter(seq: int) -> DeadLetter:
    return DeadLetter(seq=seq, at=START, reason="bad", delivery=delivery(seq))


def test_all_that_a_batch_settles_is_written_together(state: State, state_path: str) -> None:
    position = Position(read=9, holes=[Hole(4, START), Hole(7)])
    memory = {"a": b"1", "b": None}
    state.commit("test", Settled(position=position, figures=figures(sent=6), dead=[letter(5)], memory=memory))
    state.close()
    again = State(state_path)
    try:
        assert again.position("test") == position
        assert position.settled == 3
        assert again.dead_letters("test") == [letter(5)]
        assert dict(again.memory("test").load()) == {"a": b"1"}
        assert (again.figures("test", "file").sent, again.figures("test", "file").dead_letters) == (6, 1)
    finally:
        again.close()


def test_what_fails_in_the_middle_is_not_written_at_all(state: State) -> None:
    state.commit("test", Settled(position=Position(read=1), figures=figures()))
    broken = Settled(position=Position(read=2), figures=figures(), dead=[letter(2)], memory={"a": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        state.commit("test", broken)

    assert state.position("test") == Position(read=1, holes=[])
    assert state.dead_letters("test") == []


def test_a_second_writer_is_refused_and_told_who_the_first_is(state: State, state_path: str) -> None:
    with pytest.raises(StateBusy, match=r"process \d+ delivers from this journal already"):
        State(state_path)


def test_it_can_be_opened_again_when_it_was_closed(state: State, state_path: str) -> None:
    state.close()
    state.close()
    State(state_path).close()


def test_only_its_owner_may_read_it(state: State, state_path: str) -> None:
    assert stat.S_IMODE(Path(state_path).stat().st_mode) == 0o600


def test_a_damaged_file_is_named_with_the_remedy(state_path: str) -> None:
    Path(state_path).write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"journal.db.sinks: it is damaged .*move it away"):
        State(state_path)
    with pytest.raises(StateError, match="it is damaged"):
        read_figures(state_path)


def test_another_database_is_refused(state_path: str) -> None:
    db = apsw.Connection(state_path)
    db.execute("CREATE TABLE x(y)")
    db.close()
    with pytest.raises(StateError, match="not where pipetrail keeps its sinks"):
        State(state_path)


def test_a_newer_file_is_refused(state: State, state_path: str) -> None:
    state.close()
    db = apsw.Connection(state_path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match=r"newer pipetrail \(version 99, this one knows 1\)"):
        State(state_path)
    with pytest.raises(StateError, match="newer pipetrail"):
        read_figures(state_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="its folder can't be written"):
        State(str(tmp_path / "nowhere" / "journal.db.sinks"))


def test_figures_can_be_read_beside_the_writer_and_where_there_are_none(state: State, state_path: str) -> None:
    before = read_figures(state_path)
    state.commit("test", Settled(position=Position(read=9), figures=figures(sent=3, read=9), dead=[letter(4)]))
    [found] = read_figures(state_path)

    assert before == []
    assert read_figures(state_path + ".none") == []
    assert (found.sent, found.dead_letters, found.failures) == (3, 1, dict.fromkeys(FAILURES, 0))
    assert lag(found, 12) == 3


def test_dead_letters_are_listed_in_pages_tried_again_and_dropped(state: State) -> None:
    dead = [letter(seq) for seq in range(1, 8)]
    state.commit("test", Settled(position=Position(read=9), figures=figures(), dead=dead))

    assert [each.seq for each in state.dead_letters("test", after=2, most=3)] == [3, 4, 5]
    assert state.retry_dead("test", [1, 2, 99]) == 2
    assert [each.seq for each in state.due_letters("test", 0, 10)] == [1, 2]
    assert state.count_dead("test") == 7  # they are dead letters until the receiver has them
    assert state.drop_dead("test", [3]) == 1
    assert state.drop_dead("test", None) == 4
    assert state.count_dead("test") == 2


def test_a_sink_that_is_moved_keeps_the_holes_before_its_new_place(state: State) -> None:
    holes = [Hole(2), Hole(8)]
    state.commit("test", Settled(position=Position(read=9, holes=holes), figures=figures()))

    assert state.move("test", 5) == 5
    assert state.position("test") == Position(read=5, holes=[Hole(2)])
    with pytest.raises(KeyError):
        state.move("other", 5)


def test_a_sink_is_not_moved_over_what_it_was_never_sent(state: State) -> None:
    stands = Position(read=9, holes=[Hole(2), Hole(8)])
    state.commit("test", Settled(position=stands, figures=figures()))

    assert state.move("test", 12) == 9
    assert state.position("test") == stands


def test_a_rate_is_smoothed_and_falls_when_nothing_is_sent() -> None:
    found = figures()
    for second in range(300):
        found.count_sent(50, START + second * 1_000_000)

    assert found.rate == pytest.approx(50, rel=0.05)
    assert found.rate_now(START + 600 * 1_000_000) < 0.01
