"""A stand-in API server: lists and watches over plain HTTP on loopback, as fast as the client can read.

It must not bound what it measures, so it does no work per event: a watch is slices of one memory-mapped file. It knows
as much of the protocol as list-watch clients ask for: paged lists, watches from a version, initial events with the
bookmark that ends them, and silence after the last event, as on a quiet cluster. A reader knows the end by the count.
"""

import argparse
import asyncio
import contextlib
import json
import mmap
import sys
import time
from array import array
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

from benchmarks import stream

PIECE: Final = 256 * 1024
PAGE: Final = 500
"""Items that are made at a time, whatever the client's limit."""
TICK: Final = 0.005
VERBS: Final = ["get", "list", "watch"]
KINDS: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    "v1": {
        "events": ("Event", True), "pods": ("Pod", True), "nodes": ("Node", False), "namespaces": ("Namespace", False),
        "services": ("Service", True), "persistentvolumeclaims": ("PersistentVolumeClaim", True),
        "resourcequotas": ("ResourceQuota", True),
    },
    "apps/v1": {
        "deployments": ("Deployment", True), "replicasets": ("ReplicaSet", True),
        "statefulsets": ("StatefulSet", True), "daemonsets": ("DaemonSet", True),
    },
    "batch/v1": {"jobs": ("Job", True), "cronjobs": ("CronJob", True)},
}  # fmt: skip
"""Group and version, then resource: its kind and whether it lives in namespaces."""


class Refused(Exception):
    """A request that is answered by a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.body: Final = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                            "message": message, "reason": reason, "code": code}  # fmt: skip


def watching(query: dict[str, str]) -> bool:
    """Whether a watch is asked for; a real server takes any spelling but two for yes."""
    return query.get("watch", "false").lower() not in {"0", "false"}


def encoded(value: object) -> bytes:
    """JSON as an API server writes it."""
    return json.dumps(value, separators=(",", ":")).encode()


class Frames:
    """The watch frames in memory, found by number."""

    def __init__(self, count: int) -> None:
        self.count: Final = count
        with stream.cached_events(count).open("rb") as file:
            self._map: Final = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if count else None
        self.bytes: Final = memoryview(self._map) if self._map else memoryview(b"")
        self._ends: Final = array("Q", [0])
        while self._map and len(self._ends) <= count:
            self._ends.append(self._map.find(b"\n", self._ends[-1]) + 1)

    def slice(self, first: int, last: int) -> memoryview:
        """The bytes of the frames `first` to `last`, the latter not included."""
        return self.bytes[self._ends[first] : self._ends[last]]


@dataclass
class Cluster:
    """What the stand-in serves."""

    frames: Frames
    listed_events: int
    pods: list[bytes]
    jobs: list[bytes]
    rate: float
    chunk: int
    started: float = 0.0
    sent: int = 0
    """The furthest frame that any watch got."""
    loads: dict[str, int] = field(default_factory=dict)
    """Requests by resource, so that a benchmark can be checked."""

    def total(self, resource: str) -> int:
        """How many objects a list of this resource has."""
        return {"events": self.listed_events, "pods": len(self.pods), "jobs": len(self.jobs)}.get(resource, 0)

    def items(self, resource: str, start: int, stop: int) -> Iterator[bytes]:
        """The items of a list in parts of at most PAGE, each joined by commas."""
        bodies = self.pods if resource == "pods" else self.jobs
        for first in range(start, stop, PAGE):
            last = min(first + PAGE, stop)
            if resource == "events":
                yield stream.list_page(first, last)
            else:
                yield b",".join(map(stream.item, bodies[first:last]))

    def initial(self, resource: str) -> Iterator[bytes]:
        """The same as watch frames."""
        bodies = self.pods if resource == "pods" else self.jobs
        for first in range(0, self.total(resource), PAGE):
            last = min(first + PAGE, self.total(resource))
            if resource == "events":
                yield b"".join(stream.listed(first, last))
            else:
                yield b"".join(b'{"type":"ADDED","object":%b}\n' % body for body in bodies[first:last])


class Connection:
    """One client connection: requests one after the other, until a watch takes the rest of it."""

    def __init__(self, cluster: Cluster, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._cluster = cluster
        self._reader = reader
        self._writer = writer

    async def serve(self) -> None:
        """Answer until the client goes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one():
                pass
        self._writer.close()

    async def _one(self) -> bool:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in
                   (line.partition(":") for line in head.split("\r\n")[1:])}  # fmt: skip
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        try:
            answer = self._answer(method, url.path.rstrip("/"), query, body)
        except Refused as refused:
            self._whole(refused.body, refused.code)
            return True
        if isinstance(answer, dict):
            self._whole(answer, 201 if method == "POST" else 200)
            return True
        self._writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache, private\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if watching(query):
            await self._watch(answer, query)
            return False
        await self._list(answer, query)
        return True

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> dict[str, Any] | str:
        """A whole document, or the name of the resource that is to be listed or watched."""
        if method == "POST" and path.endswith("/selfsubjectaccessreviews"):
            return {**json.loads(body), "status": {"allowed": True}}
        if method != "GET":
            raise Refused(405, "MethodNotAllowed", "the stand-in only reads")
        if found := document(self._cluster, path):
            return found
        prefix, _, resource = path.rpartition("/")
        version = prefix.removeprefix("/apis/").removeprefix("/api/")
        if resource not in KINDS.get(version, {}):
            raise Refused(404, "NotFound", f"the stand-in serves whole clusters and no {path}")
        if query.get("fieldSelector") or query.get("labelSelector"):
            raise Refused(400, "BadRequest", "the stand-in knows no selectors")
        counted = f"{'watch' if watching(query) else 'list'} {resource}"
        self._cluster.loads[counted] = self._cluster.loads.get(counted, 0) + 1
        return resource

    def _whole(self, document: dict[str, Any], code: int) -> None:
        body = encoded(document)
        self._writer.write(
            b"HTTP/1.1 %d Answer\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (code, len(body))
        )
        self._writer.write(body)

    async def _chunks(self, content: bytes | memoryview) -> None:
        """Send in HTTP chunks of the wished size; a small one costs the client more, as it does with a real server."""
        view = memoryview(content)
        size = self._cluster.chunk
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            parts = [piece[at : at + size] for at in range(0, len(piece), size)]
            self._writer.writelines(part for chunk in parts for part in (b"%x\r\n" % len(chunk), chunk, b"\r\n"))
            await self._writer.drain()

    async def _list(self, resource: str, query: dict[str, str]) -> None:
        total = self._cluster.total(resource)
        start = int(query.get("continue") or 0)
        stop = min(start + int(query.get("limit") or total or 1), total)
        version = next(version for version, kinds in KINDS.items() if resource in kinds)
        metadata: dict[str, Any] = {"resourceVersion": str(stream.FIRST_VERSION)}
        if stop < total:
            metadata |= {"continue": str(stop), "remainingItemCount": total - stop}
        opening = {"kind": f"{KINDS[version][resource][0]}List", "apiVersion": version, "metadata": metadata}
        text = encoded(opening)[:-1] + b',"items":['
        for part in self._cluster.items(resource, start, stop):
            await self._chunks(text + part)
            text = b","
        await self._chunks(b"]}\n" if text == b"," else text + b"]}\n")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _watch(self, resource: str, query: dict[str, str]) -> None:
        seconds = float(query.get("timeoutSeconds") or 1_800)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                version = query.get("resourceVersion") or "0"
                if query.get("sendInitialEvents") == "true" or version == "0":
                    for part in self._cluster.initial(resource):
                        await self._chunks(part)
                    if query.get("sendInitialEvents") == "true":
                        await self._chunks(end_of_initial(resource))
                    version = str(stream.FIRST_VERSION)
                if resource == "events":
                    await self._events(max(int(version) - stream.FIRST_VERSION, 0))
                await self._reader.read(1)  # nothing more to say: wait for the client to go
                return
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _events(self, first: int) -> None:
        cluster = self._cluster
        if not cluster.started:
            cluster.started = time.time()
        async for last in self._due(first):
            await self._chunks(cluster.frames.slice(first, last))
            first = last
            cluster.sent = max(cluster.sent, last)

    async def _due(self, first: int) -> AsyncIterator[int]:
        """Up to which frame to send, each time that there is something to send."""
        cluster = self._cluster
        while first < cluster.frames.count:
            if cluster.rate:
                due = min(int((time.time() - cluster.started) * cluster.rate), cluster.frames.count)
            else:
                due = cluster.frames.count
            if due > first:
                yield due
                first = due
            if first < cluster.frames.count:
                await asyncio.sleep(TICK)


def end_of_initial(resource: str) -> bytes:
    """The bookmark that says: these were all that exist."""
    version = next(version for version, kinds in KINDS.items() if resource in kinds)
    metadata = {"resourceVersion": str(stream.FIRST_VERSION), "creationTimestamp": None,
                "annotations": {"k8s.io/initial-events-end": "true"}}  # fmt: skip
    body = {"kind": KINDS[version][resource][0], "apiVersion": version, "metadata": metadata}
    return encoded({"type": "BOOKMARK", "object": body}) + b"\n"


def document(cluster: Cluster, path: str) -> dict[str, Any] | None:
    """Discovery and the few single objects that a client asks for at its start."""
    if path == "/standin":
        return {"events": cluster.frames.count, "listed": cluster.listed_events, "sent": cluster.sent,
                "started": cluster.started, "rate": cluster.rate, "requests": cluster.loads,
                "first_version": stream.FIRST_VERSION + 1}  # fmt: skip
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.2", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(name) for name in KINDS if "/" in name]}
    if path == "/api/v1/namespaces/kube-system":
        metadata = {"name": "kube-system", "uid": "3f0f4f4e-6f43-4c3c-8f0e-2d3c1f5a9b10", "resourceVersion": "4",
                    "creationTimestamp": "2026-10-01T00:00:00Z"}  # fmt: skip
        return {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata, "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"}}  # fmt: skip
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in KINDS:
        return next((group(name) for name in KINDS if name.startswith(f"{version}/")), None)
    resources = [
        {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": VERBS}
        for name, (kind, namespaced) in KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def group(name: str) -> dict[str, Any]:
    """An API group as discovery shows it."""
    version = {"groupVersion": name, "version": name.partition("/")[2]}
    return {"name": name.partition("/")[0], "versions": [version], "preferredVersion": version}


async def serve(cluster: Cluster, port: int, *, end_with_input: bool) -> NoReturn:
    """Serve until killed; the address is the first line of the output."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=4 * PIECE)
        await Connection(cluster, reader, writer).serve()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    if end_with_input:  # a benchmark that is killed closes our input, and leaves no server behind
        await asyncio.to_thread(sys.stdin.buffer.read)
        sys.exit(0)
    await server.serve_forever()
    raise AssertionError("a server serves until it is cancelled")


def main(arguments: Iterable[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standin", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=120_000, help="frames of the watch (default: %(default)s)")
    parser.add_argument("--list-events", type=int, default=0, help="Events that the list has (default: %(default)s)")
    parser.add_argument("--pods", type=int, default=stream.PODS, help="pods that exist (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0, help="frames a second (default: as fast as they are read)")
    parser.add_argument("--chunk", type=int, default=PIECE, help="bytes of an HTTP chunk (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--end-with-input", action="store_true", help="end when the standard input is closed")
    options = parser.parse_args(None if arguments is None else list(arguments))
    cluster = Cluster(
        frames=Frames(options.events),
        listed_events=options.list_events,
        pods=list(stream.pods(options.pods)),
        jobs=list(stream.jobs()),
        rate=options.rate,
        chunk=options.chunk,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(cluster, options.port, end_with_input=options.end_with_input))


if __name__ == "__main__":
    main()
