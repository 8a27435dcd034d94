"""The benchmark stream: Event frames, Pods and Jobs of a cluster that never was, derived from recorded frames.

A stream of identical frames would measure caches: a client that remembers strings, a compressor that finds them again.
So every frame has its own uid, name, version and time, and at least 36 % of the messages are distinct, as in the
recorded clusters. Everything is computed from a seed and the number of the block that a frame is in, so any part of the
stream can be made without the parts before it, and a longer stream begins with the shorter one.
"""

import hashlib
import json
import os
import random
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

FRAMES: Final = Path(__file__).with_name("frames.jsonl")
SEED: Final = 20_261
BLOCK: Final = 1_000
"""Frames that are made together; an update refers to an Event of its own block."""
BUMP_EVERY: Final = 10
PODS: Final = 5_000
RUNS: Final = 200
NAMESPACES: Final = 8
NODES: Final = 40
FIRST_VERSION: Final = 10_000_000
"""Every list has this version; the watched frames follow it, one version each."""
LISTED_VERSION: Final = 1_000_000
START: Final = datetime(2026, 11, 1, tzinfo=UTC)
SPACING: Final = timedelta(milliseconds=180)
"""20,000 events an hour, a busy training cluster."""

WEIGHTS: Final[dict[str, int]] = {
    "Scheduled": 15, "Pulling": 5, "Pulled took": 17, "Pulled": 8, "Created": 11, "Started": 11, "Killing": 4,
    "BackOff": 3, "Failed": 3, "FailedScheduling": 6, "DeadlineExceeded": 1, "TaintManagerEviction": 1,
    "SuccessfulCreate": 10, "FailedCreate": 4, "CreatedWorkload": 3, "FinishedWorkload": 1, "Completed": 1,
}  # fmt: skip
"""How often each frame is used: roughly as in the recordings."""

VARIABLE: Final = [
    (re.compile(r"(?<=Created pod: )\S+|(?<=creating: pods \\\")[^\\]+"), "@fresh@"),
    (re.compile(r"in [\d.]+s \([\d.]+s including"), "in @took@s (@waited@s including"),
    (re.compile(r"Image size: \d+"), "Image size: @size@"),
    (re.compile(r"(?<=Successfully assigned )\S+ to \S+"), "@namespace@/@name@ to @node@"),
    (re.compile(r"(?<=Marking for deletion Pod )\S+"), "@namespace@/@name@"),
    (re.compile(r"[\w-]+/job-[\w-]+"), "@namespace@/job-@name@-@hash@"),
    (re.compile(r"0/5 nodes are available: 5 Insuff"), "0/@many@ nodes are available: @many@ Insuff"),
]
"""What a recorded message says of its own moment, and what takes its place."""

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
LISTED_PREFIX: Final = b'{"kind":"Event","apiVersion":"v1",'


class About(NamedTuple):
    """An object that Events are about."""

    namespace: str
    name: str
    uid: str
    node: str


class Run(NamedTuple):
    """A training run: one Job and the name that its pods carry as a label."""

    job: About
    run_id: str


class Sent(NamedTuple):
    """What an update repeats of the Event it updates."""

    template: "Template"
    values: dict[bytes, bytes]
    seen: int


class Template:
    """A recorded Event with gaps where each new frame differs."""

    def __init__(self, frame: dict[str, Any]) -> None:
        event = frame["object"]
        about = event["involvedObject"]
        self.of_pod: Final[bool] = about["kind"] == "Pod"
        self.legacy: Final[bool] = event.get("count") is not None
        took = " took" if event["message"].startswith("Successfully pulled") else ""
        self.use: Final[str] = event["reason"] + took
        message = json.dumps(event["message"])[1:-1]
        for pattern, gap in VARIABLE:
            message = pattern.sub(gap, message)

        event["metadata"].update(name="@name@.@moment@", namespace="@namespace@", uid="@uid@", resourceVersion="@rv@")
        event["metadata"]["creationTimestamp"] = "@first@"
        event["metadata"]["managedFields"][0]["time"] = "@last@"
        about.update(name="@name@", namespace="@namespace@", uid="@about@", resourceVersion="@aboutrv@")
        event["message"] = "@message@"
        if self.legacy:
            event.update(firstTimestamp="@first@", lastTimestamp="@last@", count="@count@")
        else:
            event["eventTime"] = "@eventtime@"
        if event["source"].get("host"):
            event["source"]["host"] = event["reportingInstance"] = "@node@"
        text = json.dumps({"type": "@type@", "object": event}, separators=(",", ":"), ensure_ascii=False)
        text = text.replace("@message@", message).replace('"@count@"', "@count@")
        if not self.legacy:
            text = text.replace('"action":', '@series@"action":')
        self.text: Final[bytes] = re.sub("@([a-z]+)@", r"%(\1)b", text.replace("%", "%%")).encode() + b"\n"


@cache
def recorded() -> dict[str, list[dict[str, Any]]]:
    """The recorded frames by the kind of their object."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in FRAMES.read_text(encoding="utf-8").splitlines():
        frame = json.loads(line)
        kinds.setdefault(frame["object"]["kind"], []).append(frame)
    return kinds


def generator(*parts: object) -> random.Random:
    """Random numbers that depend on nothing but the seed and these parts."""
    return random.Random("/".join(map(str, (SEED, *parts))))


def uid(rng: random.Random) -> str:
    """A version 4 UUID, without the price of the uuid module."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def suffix(rng: random.Random, length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(rng.choices(ALPHABET, k=length))


@cache
def runs() -> tuple[Run, ...]:
    """The runs; each is one Job."""
    rng = generator("runs")
    made: list[Run] = []
    for number in range(RUNS):
        job = About(f"ml-recommender-{number % NAMESPACES}", f"finetune-ranking-{number:03}", uid(rng), "")
        made.append(Run(job, f"bench-{number:04}"))
    return tuple(made)


@cache
def members(count: int = PODS) -> tuple[About, ...]:
    """Names and uids of the pods, spread evenly over the runs."""
    rng = generator("pods")
    made: list[About] = []
    for number in range(count):
        job = runs()[number % RUNS].job
        node = f"gpu-{rng.randrange(NODES):02}"
        made.append(About(job.namespace, f"{job.name}-{suffix(rng)}", uid(rng), node))
    return tuple(made)


def _like(kind: str, replacements: dict[str, str]) -> str:
    """The recorded object of a kind with other words in it."""
    text = json.dumps(recorded()[kind][0]["object"], separators=(",", ":"), ensure_ascii=False)
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _of_run(run: Run) -> dict[str, str]:
    """What the objects of one run have in common, as recorded and as wanted."""
    job = recorded()["Job"][0]["object"]["metadata"]
    return {
        job["uid"]: run.job.uid,
        job["labels"]["ml.example/run-id"]: run.run_id,
        f'"namespace":"{job["namespace"]}"': f'"namespace":"{run.job.namespace}"',
        job["name"]: run.job.name,
    }


def pods(count: int = PODS) -> Iterator[bytes]:
    """Pod objects of about 5.6 kB, without line ends."""
    old = recorded()["Pod"][0]["object"]
    rng = generator("pod bodies")
    container = old["status"]["containerStatuses"][0]["containerID"].partition("//")[2]
    for number, pod in enumerate(members(count)):
        yield _like(
            "Pod",
            {
                old["metadata"]["name"]: pod.name,
                old["metadata"]["uid"]: pod.uid,
                f'"resourceVersion":"{old["metadata"]["resourceVersion"]}"': f'"resourceVersion":"{1_000 + number}"',
                f'"nodeName":"{old["spec"]["nodeName"]}"': f'"nodeName":"{pod.node}"',
                container: f"{rng.getrandbits(256):064x}",
                old["status"]["podIP"]: f"10.{244 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}",
                **_of_run(runs()[number % RUNS]),
            },
        ).encode()


def jobs() -> Iterator[bytes]:
    """The Jobs that own the pods, without line ends."""
    old = recorded()["Job"][0]["object"]["metadata"]
    for number, run in enumerate(runs()):
        version = {f'"resourceVersion":"{old["resourceVersion"]}"': f'"resourceVersion":"{100 + number}"'}
        yield _like("Job", {**version, **_of_run(run)}).encode()


@cache
def templates() -> tuple[tuple[Template, ...], tuple[int, ...]]:
    """The recorded Events ready to be filled, and how often each is wanted."""
    made = tuple(Template(json.loads(json.dumps(frame))) for frame in recorded()["Event"])
    return made, tuple(WEIGHTS[template.use] for template in made)


def block(number: int, *, listed: bool = False) -> list[bytes]:
    """Make one block of frames with line ends; `listed` ones are other Events, and never updates."""
    rng = generator("listed" if listed else "watched", number)
    known, weights = templates()
    chosen = rng.choices(known, weights, k=BLOCK)
    first_version = (LISTED_VERSION if listed else FIRST_VERSION) + 1
    sent: list[Sent] = []
    frames: list[bytes] = []
    for place, template in enumerate(chosen):
        index = number * BLOCK + place
        moment = START + index * SPACING
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S").encode()
        version = b"%d" % (first_version + index)
        if not listed and place % BUMP_EVERY == BUMP_EVERY - 1:
            which = rng.randrange(len(sent))
            before = sent[which]
            template, values, count = before.template, before.values, before.seen + 1
            observed = stamp + b".%06dZ" % moment.microsecond
            values |= {b"type": b"MODIFIED", b"rv": version, b"last": stamp + b"Z", b"count": b"%d" % count,
                       b"series": b'"series":{"count":%d,"lastObservedTime":"%s"},' % (count, observed)}  # fmt: skip
            sent[which] = before._replace(seen=count)
        else:
            about = members()[rng.randrange(PODS)] if template.of_pod else runs()[rng.randrange(RUNS)].job
            values = {
                b"type": b"ADDED", b"rv": version, b"count": b"1", b"series": b"", b"name": about.name.encode(),
                b"namespace": about.namespace.encode(), b"about": about.uid.encode(), b"node": about.node.encode(),
                b"aboutrv": b"%d" % (1_000 + rng.randrange(PODS)), b"uid": uid(rng).encode(),
                b"moment": b"%x" % (int(moment.timestamp()) * 1_000_000_000 + rng.randrange(1_000_000_000)),
                b"first": stamp + b"Z", b"last": stamp + b"Z", b"eventtime": stamp + b".%06dZ" % moment.microsecond,
                b"fresh": f"{about.name}-{suffix(rng)}".encode(), b"hash": b"%05x" % rng.getrandbits(20),
                b"took": b"%.3f" % rng.uniform(0.3, 90), b"waited": b"%.3f" % rng.uniform(90, 300),
                b"size": b"%d" % (2_673_029_648 + rng.randrange(40)), b"many": b"%d" % (40 + rng.randrange(80)),
            }  # fmt: skip
            sent.append(Sent(template, values, 1))
        frames.append(template.text % values)
    return frames


def events(count: int) -> Iterator[bytes]:
    """Watch frames with line ends, in the order of their versions; every tenth updates an earlier Event."""
    for number in range(-(-count // BLOCK)):
        yield from block(number)[: count - number * BLOCK]


def listed(start: int, stop: int) -> Iterator[bytes]:
    """Watch frames of the Events that existed before the watch, by their place in the list."""
    for number in range(start // BLOCK, -(-stop // BLOCK)):
        first = number * BLOCK
        yield from block(number, listed=True)[max(start - first, 0) : stop - first]


def list_page(start: int, stop: int) -> bytes:
    """The same as the items of a LIST, joined by commas; as from a real server, items do not repeat their kind."""
    return b",".join(item(frame[len(b'{"type":"ADDED","object":') : -2]) for frame in listed(start, stop))


def item(body: bytes) -> bytes:
    """An object as it stands in a list."""
    return b'{"metadata":' + body.partition(b'"metadata":')[2]


def cached_events(count: int) -> Path:
    """A file that begins with the first `count` frames, made once: a benchmark should not pay for it each time."""
    inputs = FRAMES.read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(inputs).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pipetrail" / "stream"
    made = {int(path.stem.partition("-")[2]): path for path in folder.glob(f"{key}-*.jsonl")}
    if longer := [known for known in made if known >= count]:
        return made[min(longer)]
    path = folder / f"{key}-{count}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jsonl"):
        if not old.name.startswith(key):  # of another version of this file; 1.2 kB a frame adds up
            old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as file:
        for frame in events(count):
            file.write(frame)
    Path(file.name).replace(path)  # so that a reader never sees half a stream
    return path
