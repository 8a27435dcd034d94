"""The lower bound in Python: aiohttp's chunks, cut at line ends, decoded by msgspec into what a recorder reads."""

import asyncio

import aiohttp
import msgspec

from benchmarks.clients.outcome import arguments, report


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """Who the Event is."""

    name: str
    uid: str
    resource_version: str
    namespace: str = ""
    creation_timestamp: str | None = None


class About(msgspec.Struct, rename="camel", gc=False):
    """What the Event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    field_path: str = ""


class Series(msgspec.Struct, rename="camel", gc=False):
    """How often it happened, in the newer form."""

    count: int = 0
    last_observed_time: str | None = None


class Source(msgspec.Struct, rename="camel", gc=False):
    """Who said so, in the older form."""

    component: str = ""
    host: str = ""


class Event(msgspec.Struct, rename="camel", gc=False):
    """The fields that a recorder needs."""

    metadata: Metadata
    involved_object: About
    reason: str = ""
    message: str | None = None
    type: str | None = None
    action: str | None = None
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: Series | None = None
    source: Source | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


class Frame(msgspec.Struct, rename="camel", gc=False):
    """One line of a watch."""

    type: str
    object: Event


async def read(url: str, count: int) -> int:
    """Watch from the list's version until `count` frames are decoded."""
    decoder = msgspec.json.Decoder(Frame)
    seen = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        async with session.get(f"{url}/api/v1/events", params={"limit": "500"}) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        query = {"watch": "1", "resourceVersion": version}
        async with session.get(f"{url}/api/v1/events", params=query, read_bufsize=2**20) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    decoder.decode(line)
                seen += len(lines)
                if seen >= count:
                    break
    return seen


if __name__ == "__main__":
    report(asyncio.run(read(*arguments())))
