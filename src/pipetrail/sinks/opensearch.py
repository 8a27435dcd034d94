"""OpenSearch and Elasticsearch: every event and every run as a document that can be searched.

Documents go by ``_bulk``, under an id of their own and with an external version: sent again they change nothing, and an
event with better links replaces the one before. An id is unique in one index only, so an event's index follows from
the event itself: it is that of its own day. For the same reason there is no data stream and no rollover, and what is
too old is deleted by this sink, index by index, by name.
"""

import asyncio
import calendar
import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from pipetrail.model import Delivery, Micros, Temporary
from pipetrail.model.protocols import Answer
from pipetrail.model.times import SECOND, micros
from pipetrail.sinks import amounts
from pipetrail.sinks import settings as common
from pipetrail.sinks.http import clean
from pipetrail.sinks.opensearch_answers import answers, refused
from pipetrail.sinks.opensearch_client import JSON, NDJSON, Client
from pipetrail.sinks.opensearch_documents import ENCODER, Writer
from pipetrail.sinks.opensearch_template import EVENT_FIELDS, RUN_FIELDS, VERSION, Field, Flat, template
from pipetrail.sinks.tools import Tools

_BULK = "/_bulk?filter_path=items.*.status,items.*.error"  # of each document only what is needed: it costs both sides
_PART = 200  # documents: fewer are not worth a request of their own
_ANSWER = 16 << 20
_FOR_EACH = 4 << 10  # bytes of an answer that one document may cause
_LOOKED = 3600 * SECOND  # between two looks for old indices
_AGAIN = 60 * SECOND  # after one that failed
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_DATED = re.compile(r"-(\d{4})\.(\d{2})(?:\.(\d{2}))?")


class SearchBatching(common.Batching, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many events are sent together: the next ones are sent when these are answered for."""

    events: int = 2_000
    """The most events."""


class Settings(common.HttpSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What such a sink can be told."""

    url: str | list[str]  # type: ignore[assignment]  # of one node, or of several
    """The address of a node, or a list of them: the next one is asked where one does not answer."""
    index: str = "pipetrail-events"
    """How the indices of events begin; what follows is their date: ``pipetrail-events-2026.01.15``."""
    runs: str = "pipetrail-runs"
    """The index of the runs."""
    period: Literal["day", "month"] = "day"
    """How long an index of events lasts, by the time of the events in UTC."""
    delete_after: str | None = None
    """Delete an index of events when its last event is older than this, such as ``90d``; never by default."""
    template: bool = True
    """Write the index templates at the start, where they are missing, older or otherwise."""
    shards: int = 1
    """Shards of a new index."""
    replicas: int = 1
    """Copies of each shard of a new index; 0 where there is only one node."""
    batch: SearchBatching = msgspec.field(default_factory=SearchBatching)
    """How many events are sent together."""
    parallel: int = 2
    """In how many requests at once they are sent: a shard writes one request at a time by one thread."""
    gzip: bool = False
    """Send compressed: for a narrow line, since it costs time."""


def make(name: str, settings: common.Settings, tools: Tools) -> "OpenSearchSink":
    """A sink of that kind, not started yet.

    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """
    assert isinstance(settings, Settings)  # noqa: S101
    return OpenSearchSink(name, settings, tools)


class _Version(msgspec.Struct):
    number: str = ""
    distribution: str = "elasticsearch"  # which does not say it
    build_flavor: str = ""


class Server(msgspec.Struct):
    """What a server says of itself."""

    name: str = ""
    cluster_name: str = ""
    version: _Version = msgspec.field(default_factory=_Version)

    @property
    def words(self) -> str:
        """The product, its version and the cluster's name."""
        if not self.version.number:
            return "a server that does not tell this user what it is"
        product = "OpenSearch" if self.version.distribution == "opensearch" else "Elasticsearch"
        return clean(f"{product} {self.version.number}, cluster {self.cluster_name}")

    @property
    def flat(self) -> Flat:
        """How it keeps labels. Elasticsearch under a free licence has no way, nor OpenSearch before 2.7."""
        found = re.match(r"(\d{1,4})\.(\d{1,4})", self.version.number)
        if found is None:
            return "object"
        version = int(found[1]), int(found[2])
        if self.version.distribution == "opensearch":
            return "flat_object" if version >= (2, 7) else "object"
        return "flattened" if version >= (7, 3) and self.version.build_flavor != "oss" else "object"


class _Index(msgspec.Struct):
    number_of_shards: str = "1"
    number_of_replicas: str = "1"


class _IndexSettings(msgspec.Struct):
    index: _Index = msgspec.field(default_factory=_Index)


class _Inner(msgspec.Struct):
    settings: _IndexSettings = msgspec.field(default_factory=_IndexSettings)


class _Template(msgspec.Struct):
    version: int | None = None
    template: _Inner = msgspec.field(default_factory=_Inner)

    @property
    def numbers(self) -> tuple[str, str]:
        index = self.template.settings.index
        return index.number_of_shards, index.number_of_replicas


class _NamedTemplate(msgspec.Struct):
    index_template: _Template


class _Templates(msgspec.Struct):
    index_templates: Annotated[list[_NamedTemplate], msgspec.Meta(min_length=1)]


class OpenSearchSink:
    """Writes documents to one cluster; see :class:`~pipetrail.model.Sink`."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        _check(settings)
        with common.naming("batch.bytes"):
            self._most = amounts.size(settings.batch.bytes)
        with common.naming("delete_after"):
            self._kept = None if settings.delete_after is None else amounts.age(settings.delete_after)
        self.name = name
        self._settings = settings
        self._now = tools.now
        urls = [settings.url] if isinstance(settings.url, str) else settings.url
        answer = max(_ANSWER, _FOR_EACH * settings.batch.events)
        self._client = Client(urls, settings, tools.now, answer=answer, compress=settings.gzip)
        self._writer = Writer(settings.index, settings.runs, settings.period)
        self._look_at: Micros = 0
        self._templates_denied = False

    async def start(self) -> None:
        """Open the sessions, and write the templates where they are missing.

        :raises Temporary: when no node answers, or the templates can't be written and no index is there.
        """
        await self._client.start()
        if self._settings.template:
            await self._write_templates()

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Index all, in requests of about ``batch.bytes`` at most, several at once; each object's in their order."""
        answered: list[Answer] = [None] * len(batch)
        places = _split(batch, self._settings.parallel)
        parts = ([batch[place] for place in each] for each in places)
        # What one of them raises is raised when none is under way any more: what is sent again must come behind it.
        for each, found in zip(
            places, await asyncio.gather(*map(self._index, parts), return_exceptions=True), strict=True
        ):
            if isinstance(found, BaseException):
                raise found
            for place, answer in zip(each, found, strict=True):
                answered[place] = answer
        return answered

    async def _index(self, part: Sequence[Delivery]) -> Sequence[Answer]:
        body = self._writer.body(part)
        if len(body) > self._most and len(part) > 1:
            half = len(part) // 2
            return [*await self._index(part[:half]), *await self._index(part[half:])]
        return answers(await self._client.request("POST", _BULK, body, NDJSON), len(part))

    async def tick(self, now: Micros) -> None:
        """Delete the indices of events that are too old, once an hour."""
        if self._kept is None or now < self._look_at:
            return
        self._look_at = now + _AGAIN
        said = await self._client.request("GET", f"/{self._settings.index}-*/_alias")
        for index in sorted(said.json() if said.status == 200 else ()):
            until = _ends(index, self._settings.index, self._settings.period)
            if until is not None and until + self._kept <= now:
                await self._client.request("DELETE", f"/{index}?ignore_unavailable=true")
        self._look_at = now + _LOOKED

    async def probe(self) -> str:
        """Ask which server it is, and whether it would take a document: under a condition that can't hold."""
        server = await self._server()
        index = self._writer.name(self._now())
        place: dict[str, Any] = {"_index": index, "_id": "pipetrail-probe"}
        # Where the index is there: only over a document that is not. Else: only into an alias, which it is not either.
        there = await self._exists(index)
        place |= {"if_seq_no": 0, "if_primary_term": 1} if there else {"require_alias": True}
        said = await self._client.request("POST", _BULK, ENCODER.encode_lines([{"index": place}, {}]), NDJSON)
        [answer] = answers(said, 1, probing=True)
        if answer is not None and (there or not answer.reason.startswith("index_not_found_exception")):
            raise Temporary(answer.reason, failure=answer.failure)
        found = [f"{server.words} takes documents"]
        if not there:
            found.append(f"there is no index {index} yet that it could try")
        if self._templates_denied:
            found.append("the templates were not written: the user has no right to")
        return "; ".join(found)

    async def stop(self) -> None:
        """Close the sessions."""
        await self._client.stop()

    async def _server(self) -> Server:
        """Which server it is; an unknown one where we may not ask."""
        said = await self._client.request("GET", "/")
        if said.status == 403:
            return Server()
        if said.status >= 300:
            raise refused(said)
        return said.json(Server)  # type: ignore[no-any-return]

    async def _write_templates(self) -> None:
        told = self._settings
        flat = (await self._server()).flat
        denied = ""
        wanted: tuple[tuple[str, str, tuple[Field, ...]], ...] = (
            (told.index, f"{told.index}-*", EVENT_FIELDS),
            (told.runs, told.runs, RUN_FIELDS),
        )
        for name, pattern, fields in wanted:
            denied = await self._write_template(name, pattern, fields, flat)
        self._templates_denied = bool(denied)
        if denied and not await self._exists(f"{told.index}-*"):
            raise Temporary(
                f"the index templates can't be written: {denied}. Give the user the right to manage index templates, "
                "or write them yourself (docs/how-to/opensearch.md) and set template: false",
                failure="auth",
            )

    async def _write_template(self, name: str, pattern: str, fields: tuple[Field, ...], flat: Flat) -> str:
        """Write a template where it is missing, older or has other numbers of shards; why not, if we may not."""
        path = f"/_index_template/{name}"
        told = self._settings
        wanted = template(pattern, fields, flat, told.shards, told.replicas)
        said = await self._client.request("GET", path)
        if said.status == 200:
            there = said.json(_Templates).index_templates[0].index_template
            if (there.version or 0) > VERSION or (there.version == VERSION and there.numbers == _numbers(wanted)):
                return ""
        if said.status != 403:
            said = await self._client.request("PUT", path, ENCODER.encode(wanted), JSON)
        if said.status == 400 and b"No handler for type" in said.body:  # a build without it, whatever its version
            wanted = template(pattern, fields, "object", told.shards, told.replicas)
            said = await self._client.request("PUT", path, ENCODER.encode(wanted), JSON)
        if said.status < 300:
            return ""
        if said.status == 403:
            return str(refused(said))
        raise Temporary(f"the index template {name} was not taken: {refused(said)}", failure="client")

    async def _exists(self, index: str) -> bool:
        """Whether there is such an index, as far as we may ask."""
        return (await self._client.request("HEAD", f"/{index}?allow_no_indices=false")).status == 200


def _split(batch: Sequence[Delivery], most: int) -> list[list[int]]:
    """The places of a batch in parts of about the same size; what is about one object is in one part."""
    count = max(1, min(most, len(batch) // _PART))
    parts: list[list[int]] = [[] for _ in range(count)]
    for place, delivery in enumerate(batch):
        about = delivery.event.about
        parts[hash(about.uid or about.name) % count].append(place)
    return [part for part in parts if part]


def _check(settings: Settings) -> None:
    for field, name in (("index", settings.index), ("runs", settings.runs)):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{field}: {name!r} is no name of an index: small letters, digits, and . _ - within")
    if settings.runs.startswith(f"{settings.index}-") or settings.index.startswith(f"{settings.runs}-"):
        raise ValueError("runs: this name is one of the indices of events; choose one that begins otherwise")
    if settings.shards < 1:
        raise ValueError("shards: at least 1 is needed")
    if settings.parallel < 1:
        raise ValueError("parallel: at least 1 is needed")
    if settings.replicas < 0:
        raise ValueError("replicas: 0 or more")


def _ends(index: str, prefix: str, period: str) -> Micros | None:
    """When the time of an index of events is over; None where it is none of ours."""
    found = _DATED.fullmatch(index.removeprefix(prefix)) if index.startswith(prefix) else None
    if found is None or (found[3] is None) != (period == "month"):
        return None
    try:
        begin = dt.datetime(int(found[1]), int(found[2]), int(found[3] or 1), tzinfo=dt.UTC)
    except ValueError:
        return None
    days = 1 if period == "day" else calendar.monthrange(begin.year, begin.month)[1]
    return micros(begin) + days * 86_400 * SECOND


def _numbers(wanted: dict[str, Any]) -> tuple[str, str]:
    index = wanted["template"]["settings"]["index"]
    return index["number_of_shards"], index["number_of_replicas"]
