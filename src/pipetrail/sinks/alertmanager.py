"""Alertmanager: one alert for each pipeline in trouble, through its API of version 2.

Alertmanager forgets an alert that is not told again, so what lasts is told again each minute, as Prometheus does. All
Alertmanagers of a cluster get all of it, and one of them is enough. The alerts are remembered with the sink's position:
a restart goes on with the same ones. See :mod:`pipetrail.sinks.alerts` for what makes and ends an alert.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pipetrail.model import Answer, Delivery, Micros, Permanent, Sink, Temporary, format_time
from pipetrail.model.times import SECOND
from pipetrail.sinks import alerts
from pipetrail.sinks.amounts import age
from pipetrail.sinks.http import Http, Reply, below, checked, clean, shown
from pipetrail.sinks.settings import HttpSettings, naming
from pipetrail.sinks.settings import Settings as Common
from pipetrail.sinks.tools import Tools

_log = logging.getLogger(__name__)

_MOST = 500  # alerts in one request
_MISSED = 4  # how many tellings must fail until Alertmanager takes the alert for resolved; Prometheus has the same
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OURS = frozenset({"alertname", "cluster", "namespace", "system", "pipeline"})


class Settings(HttpSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Alertmanager can be told."""

    url: str | list[str]  # type: ignore[assignment]  # of one, or of all in a cluster of them
    """The address, such as ``http://alertmanager:9093``, or those of all Alertmanagers of a cluster."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Further labels of each alert, such as a team; ``severity`` replaces ours."""
    resolve_after: str = "1d"
    """How long an alert lasts after its last verdict, when no good run ends it."""
    resend: float = 60.0
    """Seconds until an alert that lasts is told again."""
    source: str | None = None
    """The address behind *Source* in Alertmanager (generatorURL)."""


def make(name: str, settings: Common, tools: Tools) -> Sink:
    """A sink of that kind, not started yet.

    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """
    if not isinstance(settings, Settings):
        raise TypeError("settings of another kind of sink")
    return Alertmanager(name, settings, tools)


class Alertmanager:
    """See the module."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self._settings, self._tools = settings, tools
        _check(settings)
        with naming("resolve_after"):
            self._lasts = age(settings.resolve_after)
        urls = [settings.url] if isinstance(settings.url, str) else settings.url
        if not urls or len(set(urls)) < len(urls):
            raise ValueError("url: at least one address is needed, and each of them once")
        self._receivers = [Http(msgspec.structs.replace(settings, url=url), tools.now) for url in urls]
        self._records: dict[str, alerts.Record] | None = None
        self._told_at: Micros = 0

    async def start(self) -> None:
        """Remember the alerts, and open the sessions."""
        if self._records is None:
            self._records = _remembered(self.name, self._tools)
        for receiver in self._receivers:
            await receiver.start()

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Tell what these change: most events change nothing."""
        now = self._tools.now()
        change = alerts.changed(self._known(), batch, now, self._lasts, self._tools.clusters())
        await self._make(change, now)
        return [None] * len(batch)

    async def tick(self, now: Micros) -> None:
        """End what lasted long enough; tell the rest again when it is time."""
        try:
            await self._make(alerts.expired(self._known(), now, self._lasts), now)
            if now - self._told_at >= self._settings.resend * SECOND:
                await self._tell([alerts.lasting(record) for record in self._known().values() if record.urgency], now)
                self._told_at = now
        except Permanent as error:
            raise Temporary(str(error), failure="client") from None  # each of them was taken before

    async def probe(self) -> str:
        """What version each of them says it is."""
        said = []
        for receiver, found in zip(self._receivers, await self._all("GET", "/api/v2/status"), strict=True):
            said.append(str(found) if isinstance(found, Exception) else f"{shown(receiver.url)}: {_version(found)}")
        return "; ".join(said)

    async def stop(self) -> None:
        """Close the sessions."""
        self._records = None
        for receiver in self._receivers:
            await receiver.stop()

    def _known(self) -> dict[str, alerts.Record]:
        if self._records is None:
            raise RuntimeError("the sink was not started")
        return self._records

    async def _make(self, change: alerts.Change, now: Micros) -> None:
        """Tell a change; only then it is one, here and after a restart."""
        await self._tell(change.alerts, now)
        known = self._known()
        for key, record in change.records.items():
            if record is None:
                del known[key]
            else:
                known[key] = record
            self._tools.memory.put(key, None if record is None else msgspec.json.encode(record))

    async def _tell(self, found: Sequence[alerts.Alert], now: Micros) -> None:
        # Labels of the settings may make one of two: then the one that lasts counts.
        ended = [self._shape(alert, now) for alert in found if alert.ends is not None]
        shapes = [self._shape(alert, now) for alert in found if alert.ends is None]
        lasting = [shape["labels"] for shape in shapes] if ended else []
        shapes += [shape for shape in ended if shape["labels"] not in lasting]
        for start in range(0, len(shapes), _MOST):
            await self._all("POST", "/api/v2/alerts", msgspec.json.encode(shapes[start : start + _MOST]))

    async def _all(self, method: str, path: str, body: bytes | None = None) -> list[Reply | Exception]:
        """Ask all of them. :raises Temporary: or :raises Permanent: when none took it."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        found = await asyncio.gather(*(_ask(one, method, path, body, headers) for one in self._receivers))
        failed = [one for one in found if isinstance(one, Exception)]
        if len(failed) == len(found):
            raise next((error for error in failed if isinstance(error, Temporary)), failed[0])
        return list(found)

    def _shape(self, alert: alerts.Alert, now: Micros) -> dict[str, Any]:
        until = now + int(_MISSED * self._settings.resend * SECOND) if alert.ends is None else alert.ends
        found = {
            "labels": alert.labels | self._settings.labels,
            "annotations": alert.annotations,
            "startsAt": format_time(alert.starts),
            "endsAt": format_time(until),
        }
        return found if self._settings.source is None else found | {"generatorURL": self._settings.source}


async def _ask(
    receiver: Http, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> Reply | Temporary | Permanent:
    try:
        reply = await receiver.request(method, below(receiver.url, path), body, headers)
        receiver.acknowledged(reply)
    except (Temporary, Permanent) as error:
        return error
    return reply


def _version(reply: Reply | Exception) -> str:
    try:
        found = msgspec.json.decode(reply.body) if isinstance(reply, Reply) else {}
        return f"Alertmanager {clean(str(found['versionInfo']['version']), 40)}"
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError):
        return "something answers, but does not say that it is an Alertmanager"


def _remembered(name: str, tools: Tools) -> dict[str, alerts.Record]:
    found = {}
    for key, value in tools.memory.load().items():
        try:
            found[key] = msgspec.json.decode(value, type=alerts.Record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("sink %s: forgets an alert that another version wrote: %s", name, clean(key))
            tools.memory.put(key, None)
    return found


def _check(settings: Settings) -> None:
    if settings.resend < 1:
        raise ValueError("resend: at least 1 second")
    if settings.source is not None:
        checked(settings.source, "source")
    for label in settings.labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"labels: {clean(label)!r} is no name of a label")
        if label in _OURS:
            raise ValueError(f"labels.{label}: this label is one of ours")
