"""What the answers of a search engine mean for delivery: taken, later, or never.

A bulk request that fails in part is answered with 200. What is wrong with one document is told at its place; the rest
was taken. The error types are those of OpenSearch 2 and 3 and of Elasticsearch 7.
"""

from collections.abc import Callable

import msgspec

from pipetrail.model import Again, Permanent, Rejected, Temporary
from pipetrail.model.protocols import Answer, Failure
from pipetrail.sinks.http import clean
from pipetrail.sinks.opensearch_client import Said

_CONFLICT = 409  # it has this version, or a newer one
_LATER = frozenset({401, 403, 404, 408, 429})

# A person or time can set these right, whatever the status: 400 is also said of an index that is closed, and of a
# cluster that has no room for another shard.
_LATER_TYPES = frozenset(
    {
        "circuit_breaking_exception",
        "cluster_block_exception",
        "es_rejected_execution_exception",
        "index_closed_exception",
        "opensearch_rejected_execution_exception",
        "rejected_execution_exception",
        "unavailable_shards_exception",
        "validation_exception",
    }
)

# Hardly ever the fault of one document: none may become a dead letter by it, though it was sent alone.
_OF_ALL = frozenset({401, 403, 429})
_OF_ALL_TYPES = frozenset(
    {"cluster_block_exception", "index_not_found_exception", "security_exception", "validation_exception"}
)
_REMEDIES = {
    "index_not_found_exception": "allow the index to be made by itself (action.auto_create_index), or make it",
    "security_exception": "the user needs the rights to write into it and to make it",
    "cluster_block_exception": "is a disk full? Then the index must be allowed to be written again",
    "validation_exception": "the cluster has no room for another shard",
}
_MOST = 400
_Hidden = Callable[[str, int], str]


class _Why(msgspec.Struct):
    type: str | None = None
    reason: str | None = None
    caused_by: "_Why | None" = None


class _Outcome(msgspec.Struct):
    status: int
    error: _Why | str | None = None


class _Item(msgspec.Struct):
    index: _Outcome


class _Bulk(msgspec.Struct):
    items: list[_Item]


class _Refused(msgspec.Struct):
    error: _Why | str


_bulk = msgspec.json.Decoder(_Bulk)
_refused = msgspec.json.Decoder(_Refused)


def answers(said: Said, sent: int, *, probing: bool = False) -> list[Answer]:
    """What became of each document of a bulk request.

    :param sent: how many there were.
    :param probing: nothing is lost where none was taken: say why of each.
    :raises Temporary: when the answer makes no sense; when none of several was taken, for now; or when one alone was
        not, for a reason that is hardly its own.
    :raises Permanent: when the request is wrong as a whole.
    """
    if said.status >= 300:
        raise refused(said)
    try:
        items = _bulk.decode(said.body).items
    except msgspec.DecodeError:
        raise Temporary(f"HTTP {said.status}, but no answer of a bulk request: {said.text}", failure="answer") from None
    if len(items) != sent:
        raise Temporary(f"{len(items)} answers to {sent} documents", failure="answer")
    hidden = said.http.hidden
    found = [None if item.index.status in (200, 201, _CONFLICT) else _judged(item.index, hidden) for item in items]
    later = [answer for answer in found if isinstance(answer, Again)]
    if later and len(later) == sent and not probing and (sent > 1 or _is_of_all(items[0].index)):
        raise Temporary(later[0].reason, failure=later[0].failure)
    return found


def refused(said: Said) -> Temporary | Permanent:
    """What an answer with 400, 403 or 404 to a whole request means."""
    try:
        text = f"HTTP {said.status}: {_text(_refused.decode(said.body).error, said.http.hidden)}"
    except msgspec.DecodeError:  # a proxy before it, or something else at that address
        text = f"HTTP {said.status}, but not of a search engine: {said.text}"
        return Temporary(text, failure="auth" if said.status == 403 else "answer")
    if said.status == 400:
        return Permanent(text)
    return Temporary(text, failure="auth" if said.status == 403 else "client")


def _judged(outcome: _Outcome, hidden: _Hidden) -> Again | Rejected:
    text = _text(outcome.error, hidden) or f"status {outcome.status}"
    failure = _failure(outcome)
    later = outcome.status in _LATER or outcome.status >= 500 or _type(outcome) in _LATER_TYPES
    if later or "data stream" in text:  # somebody made one of that name: it takes no versions
        return Again(clean(text, _MOST), failure=failure)
    return Rejected(clean(text, _MOST), failure)


def _is_of_all(outcome: _Outcome) -> bool:
    return outcome.status in _OF_ALL or _type(outcome) in _OF_ALL_TYPES


def _type(outcome: _Outcome) -> str:
    return (outcome.error.type or "") if isinstance(outcome.error, _Why) else ""


def _failure(outcome: _Outcome) -> Failure:
    if outcome.status in (401, 403) and _type(outcome) != "cluster_block_exception":
        return "auth"
    return "limited" if outcome.status == 429 else "client" if outcome.status < 500 else "server"


def _text(error: _Why | str | None, hidden: _Hidden) -> str:
    """An error in a line: its type, its reason, those below it, and what to do where we know it."""
    if not isinstance(error, _Why):
        return hidden(error or "", _MOST)
    parts = [part for part in (error.type, error.reason) if part]
    below = error.caused_by
    while below is not None:
        parts += [below.reason] if below.reason else []
        below = below.caused_by
    text = hidden(": ".join(parts), _MOST)
    remedy = _REMEDIES.get(error.type or "")
    return f"{text} ({remedy})" if remedy else text
