"""Recordings on their way into the journal, undisturbed and disturbed: the same runs, events and links at the end."""

from pathlib import Path

import pytest

from tests.analysis.test_runs_recorded import each_recording, expected
from tests.app.recorded import Held, folder_of, held, merged_otherwise, put, surplus
from tests.sources.playing import Frame, delayed, frames

SMALL = 60  # frames of a recording that is cut at every tenth


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "disturbed.db"


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Held]:
    """What was held of each recording before, played as it is; filled by `plainly`."""
    return {}


def plainly(folder: Path, known: dict[str, Held], under: Path) -> Held:
    if folder.name not in known:
        put(folder, under / "plain.db", full_text=False)
        known[folder.name] = held(under / "plain.db", folder.name)
    return known[folder.name]


def doubled(lines: list[Frame]) -> list[Frame]:
    return [line for line in lines for _ in range(2)]


def in_parts(lines: list[Frame], folder: Path, cuts: list[int], under: Path, journal: Path) -> Held:
    """What is held after the frames came in parts, each taken by a program that was started anew."""
    for cut in (*cuts, len(lines)):
        put(folder_of(lines[:cut], folder.name, under), journal, full_text=False)
    return held(journal, folder.name)


def same(found: Held, plain: Held, folder: Path) -> None:
    """Nothing lost, nothing doubled, all as it should be."""
    assert found.runs == expected(folder)
    assert found.wrong == []
    assert found.said == plain.said
    assert found.links == plain.links


@each_recording
def test_a_recording_in_the_journal_has_its_runs_and_every_event_the_links_that_all_objects_give(
    folder: Path, journal: Path
) -> None:
    put(folder, journal, full_text=False)
    found = held(journal, folder.name)

    assert found.runs == expected(folder)
    assert found.wrong == []
    assert found.links


@each_recording
def test_frames_that_come_twice_change_nothing(
    folder: Path, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    plain = plainly(folder, undisturbed, tmp_path)

    same(in_parts(doubled(frames(folder)), folder, [], tmp_path, journal), plain, folder)


@each_recording
def test_a_restart_in_the_middle_changes_nothing(
    folder: Path, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    plain = plainly(folder, undisturbed, tmp_path)
    lines = frames(folder)
    cuts = range(10, len(lines), 10) if len(lines) <= SMALL else [len(lines) * part // 6 for part in range(1, 6)]
    for cut in cuts:
        journal.unlink(missing_ok=True)
        same(in_parts(lines, folder, [cut], tmp_path, journal), plain, folder)


@each_recording
def test_many_restarts_in_a_row_change_nothing(
    folder: Path, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    plain = plainly(folder, undisturbed, tmp_path)
    lines = frames(folder)

    same(in_parts(lines, folder, [*range(7, len(lines), 13)], tmp_path, journal), plain, folder)


@each_recording
def test_objects_half_a_minute_late_change_nothing(
    folder: Path, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    plain = plainly(folder, undisturbed, tmp_path)

    same(in_parts(list(delayed(frames(folder), 30)), folder, [], tmp_path, journal), plain, folder)


@pytest.mark.parametrize("seed", range(2))
@each_recording
def test_files_merged_in_another_order_change_no_run_and_no_subject(
    folder: Path, seed: int, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    """But who was on a node at a time: the frames get other times of arrival, and a deletion is known by its own."""
    plain = plainly(folder, undisturbed, tmp_path)
    found = in_parts(merged_otherwise(folder, seed), folder, [], tmp_path, journal)

    assert found.runs == expected(folder)
    assert [event for event, full in found.wrong if not surplus(event.links, full)] == []
    assert found.said == plain.said
    assert found.subjects() == plain.subjects()


@pytest.mark.parametrize("seed", range(2))
@each_recording
def test_all_disturbances_together_change_no_run_and_no_subject(
    folder: Path, seed: int, journal: Path, undisturbed: dict[str, Held], tmp_path: Path
) -> None:
    """Another order, every frame twice, objects late, and two restarts."""
    plain = plainly(folder, undisturbed, tmp_path)
    lines = sorted(doubled(list(delayed(merged_otherwise(folder, 100 + seed), 30))), key=lambda line: line[0])
    cuts = [len(lines) * (1 + seed) // 5, len(lines) * (3 + seed) // 6]
    found = in_parts(lines, folder, cuts, tmp_path, journal)

    assert found.runs == expected(folder)
    assert [event for event, full in found.wrong if not surplus(event.links, full)] == []
    assert found.said == plain.said
    assert found.subjects() == plain.subjects()
