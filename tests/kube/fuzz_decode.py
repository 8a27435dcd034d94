"""A fuzz target for everything that reads bytes of the API.

    python -m tests.kube.fuzz_decode SECONDS      looks for bytes that break it, for so long; exits 1 with the bytes
    python -m tests.kube.fuzz_decode --atheris    the same under atheris, if that is installed (until interrupted;
                                                  further arguments are libFuzzer's: a corpus folder, -runs=…)

What must hold of any bytes: lines come out as they went in; decoding never raises, and gives a frame or a
:class:`~pipetrail.kube.decode.Broken` for each line that is not blank; what was decoded can be cleaned, encoded, read
again with the same result, and looked at for facets; a reject can be kept. The suite runs it for two seconds.
"""

import json
import random
import sys
import time
from typing import Any

import msgspec

from pipetrail.kube import keep, wire
from pipetrail.kube.decode import Broken, Decoder
from pipetrail.kube.lines import Lines
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.facets import facets
from pipetrail.testing.strategies import HOSTILE, START
from tests.kube import shapes

DECODERS: dict[type[wire.Wire], Decoder] = {
    kind: Decoder(kind) for kind in (wire.KubeEvent, wire.Pod, wire.Node, wire.Custom, wire.Partial)
}


def target(data: bytes) -> None:
    """Read some bytes in every way; raises where one of them breaks something."""
    lines = Lines()
    cut = len(data) // 2
    whole = lines.feed(data[:cut]) + lines.feed(data[cut:])
    assert whole + lines.rest() == data
    expected = sum(bool(line.strip()) for line in data.split(b"\n"))
    for decoder in DECODERS.values():
        found = decoder.frames(data)
        assert min(expected, 1) <= len(found) <= expected  # JSON may go on behind a newline between two values
        for frame in found:
            if isinstance(frame, Broken):
                keep.rejected(frame.raw).encode()
            elif frame.type != "ERROR":
                use(frame.object)


def use(item: Any) -> None:
    """What a source does with an object."""
    if isinstance(item, wire.KubeEvent):
        event = EventReader("c", Counts(1, START)).read(item, START)
        assert event is not None
        assert len(event.id) == 30
        return
    body = keep.body(keep.clean(item))
    again = msgspec.json.decode(body, type=type(item), strict=False)
    assert [facet.key for facet in facets(again)] == [facet.key for facet in facets(item)]
    assert keep.body(keep.clean(again)) == body


def sample(rng: random.Random) -> bytes:
    """Some lines: good ones, bent ones, and bytes of good ones with a few changed."""
    kind = rng.choice(list(shapes.EXAMPLES))
    item = shapes.EXAMPLES[kind]
    for _ in range(rng.randint(0, 3)):
        place = rng.choice(shapes.places(item))
        item = shapes.replaced(item, place, value(rng))
        if not isinstance(item, dict) or not shapes.places(item):
            break
    data = json.dumps({"type": rng.choice(["ADDED", "DELETED", "ERROR", "X"]), "object": item}).encode()
    changed = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 3])):
        at = rng.randrange(len(changed))
        changed[at : at + rng.randint(0, 3)] = rng.choice(
            [b"\\ud800", b"\0", b"\xff", b'"', b"{", b"9" * 30, b"\n", b""]
        )
    return bytes(changed) + rng.choice([b"", b"\n"])


def value(rng: random.Random) -> Any:
    """A value that fits hardly anywhere."""
    deep: Any = rng.choice(HOSTILE)
    for _ in range(rng.choice([0, 0, 0, 3, 80, 300])):
        deep = [deep] if rng.random() < 0.5 else {rng.choice(HOSTILE): deep}
    return rng.choice([None, True, -1, 10**30, 1.5, "5", {}, [], "2026-11-24T03:12:00", "0001-01-01T00:00:00Z", deep])


def run(seconds: float, seed: int = 0) -> int:
    """Try samples for so long; returns how many."""
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < until:
        data = sample(rng)
        try:
            target(data)
        except Exception as error:
            raise AssertionError(f"sample {tried} of seed {seed} breaks it: {data!r}") from error
        tried += 1
    return tried


def main(arguments: list[str]) -> None:
    """See the module."""
    if arguments[:1] == ["--atheris"]:
        import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *arguments[1:]], target)
        atheris.Fuzz()
        return
    seconds = float(arguments[0]) if arguments else 60.0
    seed = time.time_ns()
    print(f"{run(seconds, seed)} samples of seed {seed}: nothing found")


if __name__ == "__main__":
    main(sys.argv[1:])
