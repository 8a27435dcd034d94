"""What really happened in a cluster, read where it is decided: a watch on etcd itself.

pipetrail watches the API server, over connections that break, through caches that lag, and across its own restarts. To
tell whether it lost or doubled anything, a test needs a list that none of this can touch. Every write to a Kubernetes
object is one write to etcd, and etcd sends each of them, in order, to a watch that stays connected. Should even that
break, `sync` and `stop` raise: an oracle that misses something must not be believed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster.controlplane import Client, etcd_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import TracebackType

EVENTS = "/registry/events/"
PODS = "/registry/pods/"
JOBS = "/registry/jobs/"

# One watch over all of it, although most prefixes are of no interest: only within one watch is the order kept.
_ALL, _ALL_END = "/registry/", "/registry0"
_MARK = "/registry/pipetrail-oracle/mark"  # nothing in Kubernetes looks here
_PAGE = 1000


class OracleError(Exception):
    """The oracle may have missed something; what it saw proves nothing."""


@dataclass
class Trail:
    """All that etcd held of one object (one uid): `final` is its last content, kept after its deletion."""

    key: str
    uid: str
    namespace: str
    name: str
    final: dict[str, Any]
    revisions: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # of an Event: what each copy showed
    contents: list[dict[str, Any]] = field(default_factory=list)  # of anything else: each copy
    deleted_at: int | None = None  # the revision

    @property
    def count(self) -> int:
        """What the last copy of the Event showed."""
        return self.counts[-1]

    @property
    def occurrences(self) -> int:
        """How often the Event happened: the first count, and each rise since."""
        rises = (max(0, after - before) for before, after in zip(self.counts, self.counts[1:], strict=False))
        return self.counts[0] + sum(rises)


class EtcdOracle:
    """Records every write to the objects below `prefixes`, from `start` to `stop`.

    Without `from_revision`, objects that exist at the start count as seen then (a recorder lists them, too). With it,
    what exists is not read, and every write from that revision on is recorded; it must not be compacted yet.
    Use it as a context manager, around the load.
    """

    def __init__(
        self, etcd_url: str, *, prefixes: Sequence[str] = (EVENTS, PODS, JOBS), from_revision: int | None = None
    ) -> None:
        self.trails: dict[str, dict[str, Trail]] = {prefix: {} for prefix in prefixes}  # prefix → uid → trail
        self._from_revision = from_revision
        self._client = Client(etcd_url)
        self._uid_now: dict[str, str] = {}  # key → the uid of the object that it holds
        self._changed = threading.Condition()
        self._connected = False
        self._revision = 0
        self._stopping_at: int | None = None
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="etcd-oracle", daemon=True)

    def __enter__(self) -> EtcdOracle:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The test's own failure matters more than that the oracle broke with it.
        with contextlib.suppress(*(() if error is None else (OracleError,))):
            self.stop()

    def start(self) -> None:
        """Read what exists and start watching; returns when the watch is in place."""
        if self._from_revision is None:
            self._from_revision = self._read_existing() + 1
        self._thread.start()
        self._await(lambda: self._connected, 30, "etcd did not accept the watch")

    def sync(self, timeout: float = 30) -> None:
        """Return when everything that was written before this call has been recorded; raises OracleError if not."""
        revision = self._mark()
        self._await(lambda: self._revision >= revision, timeout, f"revision {revision} did not arrive")

    def stop(self, timeout: float = 30) -> None:
        """Record what was written before this call and end; raises OracleError if anything may be missing."""
        try:
            revision = self._mark()
            with self._changed:
                self._stopping_at = revision
            self._mark()  # one message more, for the thread to see that it is to end
            self._thread.join(timeout)
            self._await(lambda: not self._thread.is_alive(), 0, f"revision {revision} did not arrive")
        finally:
            self._client.close()

    def events(self, namespace: str | None = None) -> dict[str, Trail]:
        """Return the Events seen so far by uid, those of one namespace or all."""
        return self.objects(EVENTS, namespace)

    def objects(self, prefix: str, namespace: str | None = None) -> dict[str, Trail]:
        """Return the objects seen so far below one of the prefixes by uid, those of one namespace or all."""
        with self._changed:
            trails = dict(self.trails[prefix])
        return {uid: trail for uid, trail in trails.items() if namespace in (None, trail.namespace)}

    def occurrences(self, namespace: str | None = None) -> int:
        """Return how often anything happened, all Events together."""
        return sum(trail.occurrences for trail in self.events(namespace).values())

    def _await(self, condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
        with self._changed:
            done = self._changed.wait_for(lambda: self._problem is not None or condition(), timeout)
            if self._problem is not None:
                raise OracleError(f"the watch on etcd broke: {self._problem}") from self._problem
            if not done:
                raise OracleError(f"{otherwise} within {timeout} s")

    def _mark(self) -> int:
        try:
            answer = self._client.request("POST", "/v3/kv/put", {"key": etcd_bytes(_MARK), "value": etcd_bytes("")})
        except Exception as error:
            raise OracleError(f"etcd is not there: {error}") from error
        return int(answer["header"]["revision"])

    def _read_existing(self) -> int:
        revision = 0
        for prefix in self.trails:
            key, end = prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
            while True:
                # The first page decides at which revision all the others are read.
                where = {"key": etcd_bytes(key), "range_end": etcd_bytes(end), "revision": str(revision)}
                answer = self._client.request("POST", "/v3/kv/range", where | {"limit": _PAGE})
                revision = revision or int(answer["header"]["revision"])
                pairs = answer.get("kvs", [])
                for pair in pairs:
                    self._record_write(prefix, _text(pair["key"]), pair)
                if not answer.get("more"):
                    break
                key = _text(pairs[-1]["key"]) + "\0"
        return revision

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException as error:
            with self._changed:
                self._problem = error
                self._changed.notify_all()

    def _watch(self) -> None:
        watch = {
            "key": etcd_bytes(_ALL),
            "range_end": etcd_bytes(_ALL_END),
            "start_revision": str(self._from_revision),
            "fragment": True,  # else etcd refuses to send what is larger than a request may be
        }
        with contextlib.closing(self._messages(watch)) as messages:
            for message in messages:
                if "error" in message:
                    raise OracleError(f"etcd says: {message['error']}")
                result = message["result"]
                if compacted := result.get("compact_revision"):
                    raise OracleError(f"history before revision {compacted} was compacted before it was read")
                if result.get("canceled"):
                    raise OracleError(f"etcd ended the watch: {result.get('cancel_reason')}")
                with self._changed:
                    self._connected = True
                    for change in result.get("events", ()):
                        self._record(change)
                    self._changed.notify_all()
                    if self._stopping_at is not None and self._revision > self._stopping_at:
                        return
        raise OracleError("etcd closed the connection")

    def _messages(self, watch: dict[str, Any]) -> Generator[Any, None, None]:
        # The first write may be a while off, so silence is no sign of trouble: no timeout.
        return self._client.lines("POST", "/v3/watch", {"create_request": watch}, timeout=None)

    def _record(self, change: dict[str, Any]) -> None:
        pair = change["kv"]
        key = _text(pair["key"])
        self._revision = int(pair["mod_revision"])
        for prefix, trails in self.trails.items():
            if key.startswith(prefix):
                if change.get("type") != "DELETE":
                    self._record_write(prefix, key, pair)
                elif (uid := self._uid_now.pop(key, None)) is not None:
                    trails[uid].deleted_at = self._revision
                return

    def _record_write(self, prefix: str, key: str, pair: dict[str, Any]) -> None:
        content = json.loads(base64.b64decode(pair["value"]))
        metadata = content["metadata"]
        uid = metadata["uid"]
        trail = self.trails[prefix].get(uid)
        if trail is None:
            trail = Trail(key, uid, metadata.get("namespace", ""), metadata["name"], content)
            self.trails[prefix][uid] = trail
        self._uid_now[key] = uid
        trail.final = content
        trail.revisions.append(int(pair["mod_revision"]))
        if prefix == EVENTS:
            trail.counts.append(shown_count(content))
        else:
            trail.contents.append(content)


def shown_count(event: dict[str, Any]) -> int:
    """Return how often an Event says that it happened: at least once."""
    series = event.get("series") or {}
    return max(1, series.get("count") or event.get("count") or event.get("deprecatedCount") or 1)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
