"""Cases made from recordings: the objects and events of a run as they were known at some time."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec
import yaml

from pipetrail.analysis import Linker, resolvers, runs
from pipetrail.analysis.diagnosis import Case
from pipetrail.analysis.diagnosis.gathering import gathered
from pipetrail.model import Event
from pipetrail.sources.counting import Counts
from pipetrail.sources.playback import Recording

RECORDINGS = Path(__file__).parents[4] / "shared" / "recordings"


class Play:
    """A recording as far as it was played."""

    def __init__(self, folder: Path) -> None:
        config = yaml.safe_load((RECORDINGS / "pipetrail.yaml").read_text(encoding="utf-8"))
        self.folder = folder
        self.linker = Linker(resolvers(config["resolvers"]))
        self.events: dict[object, Event] = {}
        self.bodies: dict[str, bytes] = {}
        self.now = 0

    def steps(self) -> Iterator[int]:
        """Play it step by step; yields the number of the step."""
        recording = Recording(self.folder, self.folder.name, Counts(3_600_000_000, 0), {})
        for number, step in enumerate(recording.steps(None)):
            for batch in step.batches:
                for event in batch.events:
                    links = self.linker.take(event.id, event)
                    self.events[event.id] = msgspec.structs.replace(event, links=links)
                for version in batch.objects:
                    self.linker.see(version)
                    if version.body:
                        self.bodies[version.ref.uid] = version.body
                for key, links in self.linker.relink():
                    self.events[key] = msgspec.structs.replace(self.events[key], links=links)
            self.now = step.at
            yield number

    def cases(self) -> list[Case]:
        """The case of each run by now."""
        events = list(self.events.values())
        return [
            gathered(self.linker, run, events, now=self.now, bodies=self.bodies)
            for run in runs(self.linker, now=self.now)
            if run.system != "pod"
        ]


@lru_cache(maxsize=64)
def whole(folder: Path) -> list[Case]:
    """The cases of a recording that was played to its end."""
    play = Play(folder)
    for _ in play.steps():
        pass
    return play.cases()
