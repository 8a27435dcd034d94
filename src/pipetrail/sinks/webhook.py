"""Webhook: events as JSON, as CloudEvents or in the words of a template, to any address that takes HTTP.

A receiver that checks the signature knows that a request comes from us, is unchanged and is not an old one sent again.
What may come twice has the same ``id`` and ``revision`` both times.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from pipetrail.documents.deliveries import delivery_json
from pipetrail.documents.events import object_name
from pipetrail.model import Answer, Delivery, Event, Micros, Permanent, Rejected, Sink, Temporary, format_time
from pipetrail.model.protocols import Again
from pipetrail.model.times import SECOND
from pipetrail.sinks.http import Http, check_header, clean
from pipetrail.sinks.settings import HttpSettings, hiding, naming
from pipetrail.sinks.settings import Settings as Common
from pipetrail.sinks.templates import TemplateError, compiled
from pipetrail.sinks.tools import Tools

_CONTENT_TYPES = {
    ("json", False): "application/json",
    ("json", True): "application/json",
    ("cloudevents", False): "application/cloudevents-batch+json",
    ("cloudevents", True): "application/cloudevents+json",
}


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signature of each request, HMAC-SHA256."""

    secret: str
    """What both sides know, such as ``${WEBHOOK_SECRET}``."""
    header: str = "X-Pipetrail-Signature"
    """The header that it stands in."""

    def __repr__(self) -> str:
        return hiding(self)


class Settings(HttpSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a webhook can be told."""

    method: Literal["POST", "PUT"] = "POST"
    """How it is sent."""
    format: Literal["json", "cloudevents"] = "json"
    """What is sent: our own documents, or CloudEvents 1.0 with them as data."""
    each: bool = False
    """One request for each event, instead of one with a list."""
    template: str | None = None
    """The body in your own words (Jinja2), of ``events``, or with ``each`` of ``event``; in place of ``format``."""
    content_type: str | None = None
    """The Content-Type, where it is not that of the format."""
    signature: Signature | None = None
    """How the requests are signed; not at all by default."""


def make(name: str, settings: Common, tools: Tools) -> Sink:
    """A webhook.

    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """
    if not isinstance(settings, Settings):
        raise TypeError("settings of another kind of sink")
    return Webhook(name, settings, tools)


class Webhook:
    """See the module."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self._settings, self._now = settings, tools.now
        secret = settings.signature.secret if settings.signature else ""
        if settings.signature and len(secret) < 16:
            raise ValueError("signature.secret: at least 16 characters are needed")
        if settings.signature:
            check_header("signature.header", settings.signature.header)
        self._template = _template(settings.template)
        kind = settings.content_type or _CONTENT_TYPES[settings.format, settings.each]
        if not kind.isascii() or not kind.isprintable():
            raise ValueError("content_type: it can't be in a header")
        self._headers = {"Content-Type": "application/json" if self._template and not settings.content_type else kind}
        self._http = Http(settings, tools.now, secrets=[secret] if secret else [])

    async def start(self) -> None:
        """Open the session."""
        await self._http.start()

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """One request with all, or one for each."""
        if not self._settings.each:
            await self._send(await self._body(batch))
            return [None] * len(batch)
        answers: list[Answer] = []
        for delivery in batch:
            try:
                await self._send(await self._body([delivery]))
                answers.append(None)
            except Permanent as error:
                answers.append(Rejected(str(error), error.failure))
            except Temporary as error:
                if not answers:
                    raise
                # Those before it are there: only the rest is sent again, in this order.
                answers += [Again(str(error), error.after, error.failure)] * (len(batch) - len(answers))
                break
        return answers

    async def tick(self, now: Micros) -> None:
        """Nothing is due."""

    async def probe(self) -> str:
        """Ask with OPTIONS, which leaves nothing there. Whether events are taken only shows when one is sent."""
        reply = await self._http.request("OPTIONS", fine=(400, 405, 422, 501))
        text = f"HTTP {reply.status}"
        return text if reply.status < 300 else f"{text} to OPTIONS: it is there, but can't be asked like this"

    async def stop(self) -> None:
        """Close the session."""
        await self._http.stop()

    async def _send(self, body: bytes) -> None:
        headers = dict(self._headers)
        if (signed := self._settings.signature) is not None:
            headers[signed.header] = signature(signed.secret, self._now() // SECOND, body)
        reply = await self._http.request(self._settings.method, body=body, headers=headers)
        self._http.acknowledged(reply)

    async def _body(self, batch: Sequence[Delivery]) -> bytes:
        if self._template is not None:
            return await self._rendered(self._template, [delivery_json(delivery) for delivery in batch])
        if self._settings.format == "cloudevents":
            documents = [cloudevent(delivery) for delivery in batch]
        else:
            documents = [delivery_json(delivery) for delivery in batch]
        return documents[0] if self._settings.each else b"[%s]" % b",".join(documents)

    async def _rendered(self, template: Callable[[Mapping[str, Any]], str], documents: list[bytes]) -> bytes:
        found = [msgspec.json.decode(document) for document in documents]
        data = {"event": found[0]} if self._settings.each else {"events": found}
        try:
            # In a thread: others go on while it takes its time.
            return (await asyncio.to_thread(template, data)).encode()
        except (TemplateError, UnicodeEncodeError) as error:
            raise Permanent(f"template: {clean(str(error))}", "template") from None


def signature(secret: str, at: int, body: bytes) -> str:
    """The header of a request that is sent at this second: the time, and the HMAC of time, dot and body."""
    digest = hmac.new(secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def cloudevent(delivery: Delivery) -> bytes:
    """A delivery as a CloudEvent in its JSON format. An event that was given better links is another CloudEvent."""
    event = delivery.event
    found = {
        "specversion": "1.0",
        "id": f"{event.id}.{event.revision}",
        "source": f"urn:pipetrail:cluster:{quote(event.cluster, safe='')}",
        "type": f"io.pipetrail.event.{event.origin}",
        "time": format_time(event.at),
        "datacontenttype": "application/json",
    }
    if subject := _subject(event):
        found["subject"] = subject
    return b'%s,"data":%s}' % (msgspec.json.encode(found)[:-1], delivery_json(delivery))


def _subject(event: Event) -> str:
    return clean(object_name(event.about), 500)


def _template(text: str | None) -> Callable[[Mapping[str, Any]], str] | None:
    if text is None:
        return None
    with naming("template"):
        return compiled(text)
