"""Recordings of real controllers, played into a linker: the runs, steps, attempts and outcomes that each must show."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.analysis import Linker, resolvers, runs
from pipetrail.sources.counting import Counts
from pipetrail.sources.playback import Recording
from tests.analysis.feeding import Feed
from tests.sources.playing import Frame, delayed, frames, write

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/expected.json"))
_ABSENT = pytest.param(RECORDINGS, marks=pytest.mark.skip(reason="shared recordings not here"), id="absent")
each_recording = pytest.mark.parametrize("folder", FOLDERS or [_ABSENT], ids=lambda folder: folder.name)


def linker() -> Linker:
    config = yaml.safe_load((RECORDINGS / "pipetrail.yaml").read_text(encoding="utf-8"))
    return Linker(resolvers(config["resolvers"]))


def played(folder: Path, into: Linker | Feed) -> Feed:
    feed = into if isinstance(into, Feed) else Feed(into, folder.name)
    for step in Recording(folder, folder.name, Counts(3_600_000_000, 0), {}).steps(None):
        for batch in step.batches:
            for event in batch.events:
                feed.take(event.id, event)
            feed.see(batch.objects)
    return feed


def rewritten(folder: Path, lines: list[Frame], into: Path) -> Feed:
    there = into / folder.name
    there.mkdir()
    write(there, lines)
    return played(there, linker())


def described(found: Linker) -> list[tuple[Any, ...]]:
    return sorted(
        (run.system, run.name, run.state, tuple(sorted((step.name, step.state, step.attempts) for step in run.steps)))
        for run in runs(found)
        if run.system != "pod"
    )


def expected(folder: Path) -> list[tuple[Any, ...]]:
    found = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return sorted(
        (
            run["system"],
            run["run"],
            run["outcome"],
            tuple(sorted((step["name"], step["outcome"], step["attempts"]) for step in run["steps"])),
        )
        for run in found["runs"]
    )


@each_recording
def test_a_recording_shows_the_runs_that_it_should(folder: Path) -> None:
    found = linker()
    played(folder, found)

    assert described(found) == expected(folder)


@each_recording
def test_frames_sent_twice_show_the_same_runs(folder: Path, tmp_path: Path) -> None:
    feed = rewritten(folder, [line for line in frames(folder) for _ in range(2)], tmp_path)

    assert described(feed.linker) == expected(folder)


@each_recording
def test_objects_that_lag_behind_by_half_a_minute_show_the_same_runs(folder: Path, tmp_path: Path) -> None:
    """And the events that came before their objects are linked as if they had not."""
    prompt = played(folder, linker())
    feed = rewritten(folder, list(delayed(frames(folder), 30)), tmp_path)

    assert described(feed.linker) == expected(folder)
    kubernetes = {key for key, event in prompt.events.items() if event.origin == "kubernetes"}
    assert kubernetes == {key for key, event in feed.events.items() if event.origin == "kubernetes"}
    for key in kubernetes:
        assert subjects(feed, key) == subjects(prompt, key), feed.events[key]


@each_recording
def test_the_order_between_files_changes_no_run(folder: Path, tmp_path: Path) -> None:
    """Kinds come on watches of their own: here each file whole, the last one first."""
    by_file: dict[str, list[Frame]] = {}
    for line in frames(folder):
        by_file.setdefault(line[1], []).append(line)
    feed = Feed(linker(), folder.name)
    for name in sorted(by_file, reverse=True):
        there = tmp_path / name / folder.name
        there.mkdir(parents=True)
        write(there, by_file[name])
        played(there, feed)

    assert described(feed.linker) == expected(folder)


def subjects(feed: Feed, key: Any) -> set[tuple[Any, ...]]:
    return {
        (link.system, link.run, link.run_name, link.step, link.replica, link.pod_uid)
        for link in feed.links[key]
        if link.rel == "subject"
    }


@each_recording
def test_every_kubernetes_event_of_a_recorded_run_is_linked(folder: Path) -> None:
    """But those of nodes, queues and quotas, and of bare pods, which are members of no run."""
    feed = played(folder, linker())
    things = feed.linker.world.cluster(folder.name).things
    for key, event in feed.events.items():
        if event.about.kind == "Pod" and not (event.about.uid in things and things[event.about.uid].owners):
            continue
        if event.about.kind in ("Pod", "Job", "Workflow", "PipelineRun", "TaskRun", "JobSet", "PyTorchJob"):
            assert feed.links[key], (folder.name, event)
