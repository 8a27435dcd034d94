"""Recordings in the journal: rearranged on the way in, and what the journal then says of events, links and runs."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipetrail.app.playing import PlayOptions, play
from pipetrail.app.runs import linker_of, runs_of
from pipetrail.catalogue import Catalogue
from pipetrail.model import Event, Link, Query
from pipetrail.stores.sqlite import JournalReader
from tests.conftest import RECORDINGS
from tests.sources.playing import Frame, frames, write

Placed = tuple[str | int | None, ...]


class Held(NamedTuple):
    """What a journal holds of one recording."""

    runs: list[tuple[Any, ...]]
    """System, name, state and steps of each run, in the form of the expectation."""
    links: dict[str, set[Placed]]
    """Of each Kubernetes event by its id: where its links put it."""
    said: "Counter[tuple[str, str, str, str]]"
    """What the states of objects said, however often and whenever they came."""
    wrong: list[tuple[Event, tuple[Link, ...]]]
    """The events whose links are not those that all objects of the journal give, and these."""

    def subjects(self) -> dict[str, set[Placed]]:
        """The links without those of bystanders."""
        return {id_: {link for link in links if link[0] != "affected"} for id_, links in self.links.items()}


def configured() -> tuple[dict[str, Any], ...]:
    found = yaml.safe_load((RECORDINGS / "pipetrail.yaml").read_text(encoding="utf-8"))
    return tuple(found["resolvers"])


def placed(links: Iterable[Link]) -> set[Placed]:
    """Where links put an event, without how that was found."""
    return {
        (
            *(link.rel, link.system, link.run, link.run_name),
            *(link.step, link.attempt, link.run_attempt, link.replica, link.pod_uid),
        )
        for link in links
    }


def surplus(links: Iterable[Link], full: Iterable[Link]) -> bool:
    """Whether links are at least those, with bystanders too many: a link that was made is not taken away again."""
    found, wanted = placed(links), placed(full)
    return wanted <= found and all(link[0] == "affected" for link in found - wanted)


def put(folder: Path, journal: Path | str, catalogue: Catalogue | None = None, *, full_text: bool = True) -> None:
    """Play a folder, on from where it was played before; with verdicts, where a catalogue is given."""
    options = PlayOptions(journal=str(journal), full_text=full_text, resolvers=configured(), catalogue=catalogue)
    asyncio.run(play([folder], options))


def held(journal: Path, name: str) -> Held:
    """What the journal holds, and what a linker that knows all of its objects says to that."""
    with JournalReader(str(journal)) as reader:
        found = runs_of(reader, 1 << 62, configured())
        runs = sorted(
            (
                run.system,
                run.name,
                run.state,
                tuple(sorted((step.name, step.state, step.attempts) for step in run.steps)),
            )
            for run in found
            if run.system != "pod"
        )
        knowing = linker_of(reader, name, configured())
        events = list(reader.events(Query(order="seq")))
    assert len({event.id for event in events}) == len(events), "two events have one id"
    links = {event.id: placed(event.links) for event in events if event.origin == "kubernetes"}
    said = Counter(
        (event.about.uid, event.reason, event.action, event.message) for event in events if event.origin == "status"
    )
    wrong = [(event, full) for event in events if placed(event.links) != placed(full := knowing.links(event))]
    return Held(runs, links, said, wrong)


def folder_of(lines: Sequence[Frame], name: str, under: Path) -> Path:
    """A recording of that name with just these lines."""
    folder = under / name
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, lines)
    return folder


def merged_otherwise(folder: Path, seed: int) -> list[Frame]:
    """The frames with the files riffled at random: each keeps its order, and the times of arrival are dealt anew."""
    chance = random.Random(seed)
    lines = frames(folder)
    times = [arrived for arrived, _, _ in lines]
    by_file: dict[str, list[Frame]] = {}
    for line in reversed(lines):
        by_file.setdefault(line[1], []).append(line)
    found: list[Frame] = []
    for arrived in times:
        name = chance.choice(sorted(by_file))
        _, _, data = by_file[name].pop()
        found.append((arrived, name, data | {"arrived": arrived}))
        if not by_file[name]:
            del by_file[name]
    return found
