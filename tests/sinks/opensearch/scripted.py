"""A search engine that fails as it is told: for what a real one can't be brought to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pipetrail.testing.deliveries import POISON
from pipetrail.testing.receivers import (
    LIMITED,
    SILENT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Asked,
    Reply,
    ScriptedReceiver,
    json_reply,
)

if TYPE_CHECKING:
    from pipetrail.testing.sink_world import Fault

SERVER = {"name": "n1", "cluster_name": "lab", "version": {"number": "3.8.0", "distribution": "opensearch"}}


class ScriptedEngine:
    """Answers as OpenSearch does, at ``url``; with a fault as the contract suite names it."""

    def __init__(self, scripted: ScriptedReceiver) -> None:
        self.scripted = scripted
        scripted.answer = self._answer
        self._taken: list[tuple[str, int]] = []
        self._fault: Fault | None = None
        self._bulks = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.scripted.url

    def received(self) -> list[tuple[str, int]]:
        """What it took, as often as it came."""
        return list(self._taken)

    async def fault(self, word: Fault | None) -> None:
        """Do this from now on."""
        await (self.scripted.refuse() if word == "refused" else self.scripted.listen())
        self._fault = word

    def _answer(self, asked: Asked) -> Reply:
        faults: dict[Fault | None, Reply] = {
            "server": UNAVAILABLE,
            "limited": LIMITED,
            "auth": UNAUTHORIZED,
            "silent": SILENT,
        }
        if self._fault in faults:
            return faults[self._fault]
        if asked.path == "/_bulk":
            self._bulks += 1
            failing = self._fault == "intermittent" and self._bulks % 2
            reply = UNAVAILABLE if failing else self._bulk(asked)
        else:
            reply = meta(asked)
        return msgspec.structs.replace(reply, delay=0.33) if self._fault == "slow" else reply

    def _bulk(self, asked: Asked) -> Reply:
        items = []
        for place, document in pairs(asked):
            if "require_alias" in place:
                items.append(outcome(404, "index_not_found_exception"))
            elif self._fault == "poison" and POISON in document.get("message", ""):
                items.append(outcome(400, "mapper_parsing_exception"))
            else:
                self._taken.append((place["_id"], place["version"]))
                items.append(outcome(201))
        return json_reply({"items": items})


def meta(asked: Asked) -> Reply:
    """What is answered to all that is no bulk request: there is nothing yet, and it may be made."""
    if asked.path == "/":
        return json_reply(SERVER)
    return json_reply({}, 404) if asked.method in ("GET", "HEAD") else json_reply({"acknowledged": True})


def pairs(asked: Asked) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Where each document of a bulk request is to go, and the document."""
    lines = [msgspec.json.decode(line) for line in asked.body.splitlines()]
    return [(place["index"], document) for place, document in zip(lines[::2], lines[1::2], strict=True)]


def outcome(status: int, type_: str = "", reason: str = "because") -> dict[str, Any]:
    """The outcome of one document."""
    return {"index": {"status": status} | ({"error": {"type": type_, "reason": reason}} if type_ else {})}
