"""Against a scripted server: the contract of all sinks, and answers that make no sense."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from pipetrail.model import Again, Delivery, ObjectRef, Permanent, Rejected, Temporary
from pipetrail.sinks import opensearch
from pipetrail.testing.deliveries import Forgetful
from pipetrail.testing.receivers import (
    CLOSED,
    CUT,
    HALF_JSON,
    HTML,
    HUGE,
    REDIRECT,
    UNAVAILABLE,
    Asked,
    Reply,
    ScriptedReceiver,
    json_reply,
)
from pipetrail.testing.sink_contract import SinkContract
from tests.sinks.opensearch.nodes import delivery, tools
from tests.sinks.opensearch.scripted import ScriptedEngine, meta, outcome, pairs

TWO = [delivery(1), delivery(2)]


def settings(url: str | list[str], **changes: object) -> opensearch.Settings:
    return msgspec.convert({"type": "opensearch", "url": url, "timeout": 0.5} | changes, opensearch.Settings)


class TestContract(SinkContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[ScriptedEngine]:
        async with ScriptedReceiver() as scripted:
            yield ScriptedEngine(scripted)

    @pytest.fixture
    def make(self, receiver: ScriptedEngine) -> Callable[[object], opensearch.OpenSearchSink]:
        return lambda given: opensearch.make("test", settings(receiver.url), given)  # type: ignore[arg-type]


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedReceiver]:
    async with ScriptedReceiver(meta) as found:
        yield found


@pytest.fixture
async def sink(scripted: ScriptedReceiver) -> AsyncIterator[opensearch.OpenSearchSink]:
    made = opensearch.make("test", settings(scripted.url), tools(Forgetful()))
    await made.start()
    yield made
    await made.stop()


ABSURD = {
    "a page instead of JSON": (HTML, "no answer of a bulk request"),
    "half of the JSON": (HALF_JSON, "no answer of a bulk request"),
    "half of the answer": (CUT, "too early|closed"),
    "no answer": (CLOSED, "closed"),
    "nothing": (Reply(), "nothing"),
    "fewer outcomes than documents": (json_reply({"errors": True, "items": [outcome(201)]}), "1 answers to 2"),
    "more outcomes than documents": (json_reply({"items": [outcome(201)] * 3}), "3 answers to 2"),
    "outcomes of something else": (json_reply({"items": [{"create": {"status": 201}}] * 2}), "no answer of a bulk"),
    "outcomes without a status": (json_reply({"items": [{"index": {}}] * 2}), "no answer of a bulk"),
    "a redirect": (REDIRECT, "redirects to http://127.0.0.1:1"),
    "a page that says 400": (Reply(status=400, body=b"<html>plain HTTP to an HTTPS port"), "not of a search engine"),
    "a page that says 404": (Reply(status=404, body=b"<html>nothing here"), "not of a search engine"),
    "a page that says 403": (Reply(status=403, body=b"<html>not you"), "not you"),
    "no such thing here": (json_reply({"error": "no handler found", "status": 404}, 404), "no handler found"),
    "unwell": (UNAVAILABLE, "503"),
}


@pytest.mark.parametrize(("reply", "words"), ABSURD.values(), ids=ABSURD)
async def test_an_answer_that_makes_no_sense_loses_nothing(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, reply: Reply, words: str
) -> None:
    scripted.then(reply)
    with pytest.raises(Temporary, match=words) as refused:
        await sink.send(TWO)

    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


async def test_a_huge_answer_is_not_read_to_its_end(scripted: ScriptedReceiver) -> None:
    sink = opensearch.make("test", settings(scripted.url, timeout=60), tools(Forgetful()))
    await sink.start()
    scripted.then(HUGE)
    with pytest.raises(Temporary, match="more than 16,777,216 bytes"):
        await sink.send(TWO)
    await sink.stop()


async def test_a_request_that_is_wrong_as_a_whole_is_permanent(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink
) -> None:
    error = {"type": "illegal_argument_exception", "reason": "Malformed action/metadata line [3]"}
    scripted.then(json_reply({"error": error, "status": 400}, 400))
    with pytest.raises(Permanent, match="Malformed action"):
        await sink.send(TWO)


def of_objects(count: int) -> list[Delivery]:
    """So many events, each about an object of its own but for every tenth: these are about one."""
    made = [delivery(seq) for seq in range(1, count + 1)]
    return [
        msgspec.structs.replace(
            each,
            event=msgspec.structs.replace(
                each.event, about=ObjectRef(kind="Pod", name="p", uid=f"u-{each.seq}" if each.seq % 10 else "u")
            ),
        )
        for each in made
    ]


async def test_a_large_batch_goes_in_two_requests_and_each_event_has_its_own_answer(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink
) -> None:
    def answer(asked: Asked) -> Reply:
        refused = [document["event"]["sequence"] % 7 == 0 for _, document in pairs(asked)]
        return json_reply({"items": [outcome(400 if each else 201, "mapper_parsing_exception") for each in refused]})

    scripted.answer = answer
    batch = of_objects(600)
    answers = await sink.send(batch)

    assert [each.seq for each, answer in zip(batch, answers, strict=True) if answer] == list(range(7, 601, 7))
    requests = [[document for _, document in pairs(asked)] for asked in scripted.requests if asked.path == "/_bulk"]
    assert len(requests) == 2
    same = [[each["event"]["sequence"] for each in found if each["orchestrator"]["resource"]["id"] == "u"]
            for found in requests]  # fmt: skip
    assert sorted(same) == [[], list(range(10, 601, 10))]


async def test_a_request_that_fails_fails_its_batch_when_the_other_has_ended(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink
) -> None:
    ended: list[int] = []

    def answer(asked: Asked) -> Reply:
        found = pairs(asked)
        ended.append(len(found))
        if len(ended) == 1:
            return UNAVAILABLE
        return msgspec.structs.replace(json_reply({"items": [outcome(201)] * len(found)}), delay=0.2)

    scripted.answer = answer
    with pytest.raises(Temporary, match="503"):
        await sink.send(of_objects(600))

    assert sum(ended) == 600
    assert await sink.send(TWO) == [None, None]


NEVER = [(400, "mapper_parsing_exception"), (400, "illegal_argument_exception"), (413, "too_large"), (400, "")]
LATER = [
    (429, "es_rejected_execution_exception"),
    (429, "circuit_breaking_exception"),
    (503, "unavailable_shards_exception"),
    (500, "anything"),
    (403, "security_exception"),
    (403, "cluster_block_exception"),
    (404, "index_not_found_exception"),
    (400, "index_closed_exception"),
    (400, "validation_exception"),
    (401, ""),
]


@pytest.mark.parametrize(("status", "type_"), NEVER)
async def test_one_document_is_refused_for_ever(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, status: int, type_: str
) -> None:
    scripted.then(json_reply({"errors": True, "items": [outcome(201), outcome(status, type_)]}))
    taken, refused = await sink.send(TWO)

    assert taken is None
    assert isinstance(refused, Rejected)
    assert refused.reason


@pytest.mark.parametrize(("status", "type_"), LATER)
async def test_one_document_is_refused_for_now(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, status: int, type_: str
) -> None:
    scripted.then(json_reply({"errors": True, "items": [outcome(409, "version_conflict"), outcome(status, type_)]}))
    taken, refused = await sink.send(TWO)

    assert taken is None
    assert isinstance(refused, Again)
    assert refused.reason


@pytest.mark.parametrize(("status", "type_"), LATER)
async def test_when_all_are_refused_for_now_nothing_can_become_a_dead_letter(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, status: int, type_: str
) -> None:
    scripted.then(json_reply({"errors": True, "items": [outcome(status, type_)] * 2}))
    with pytest.raises(Temporary):
        await sink.send(TWO)


FOR_A_PERSON = [
    (429, "es_rejected_execution_exception", "limited"),
    (403, "security_exception", "auth"),
    (401, "", "auth"),
    (403, "cluster_block_exception", "client"),
    (429, "cluster_block_exception", "limited"),
    (404, "index_not_found_exception", "client"),
    (400, "validation_exception", "client"),
]


@pytest.mark.parametrize(("status", "type_", "failure"), FOR_A_PERSON)
async def test_one_document_alone_is_no_dead_letter_by_a_wrong_right_or_a_full_disk(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, status: int, type_: str, failure: str
) -> None:
    scripted.then(json_reply({"errors": True, "items": [outcome(status, type_)]}))
    with pytest.raises(Temporary) as refused:
        await sink.send(TWO[:1])

    assert refused.value.failure == failure


@pytest.mark.parametrize(
    ("status", "type_", "failure"),
    [
        (500, "anything", "server"),
        (503, "unavailable_shards_exception", "server"),
        (429, "es_rejected_execution_exception", "limited"),
        (403, "security_exception", "auth"),
        (400, "index_closed_exception", "client"),
        (400, "mapper_parsing_exception", "client"),
    ],
)
async def test_a_refusal_of_one_document_has_the_word_for_its_failure(
    scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink, status: int, type_: str, failure: str
) -> None:
    scripted.then(json_reply({"errors": True, "items": [outcome(201), outcome(status, type_)]}))
    _, refused = await sink.send(TWO)

    assert isinstance(refused, Again | Rejected)
    assert refused.failure == failure


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=403, body=b"<html>who is Bearer T0KEN&/of-ours?"),
        Reply(body=b"<html>who is Bearer T0KEN&/of-ours?"),
        json_reply({"error": {"type": "security_exception", "reason": "T0KEN&/of-ours"}, "status": 403}, 403),
        Reply(
            status=400,
            body=b'{"error": {"type": "x", "reason": "y", "caused_by": {"reason": "T0KEN\\u0026\\/of-ours"}}}',
        ),
        json_reply({"error": "T0KEN&/of-ours", "status": 404}, 404),
        json_reply({"items": [outcome(403, "security_exception", "T0KEN&/of-ours")]}),
        json_reply({"items": [outcome(400, "mapper_parsing_exception", "T0KEN&/of-ours")]}),
        json_reply({"items": [outcome(500, "T0KEN&/of-ours")]}),
    ],
    ids=["page 403", "page 200", "403", "400, escaped", "404", "outcome 403", "outcome 400", "outcome 500"],
)
async def test_a_secret_that_an_answer_repeats_is_not_told(scripted: ScriptedReceiver, reply: Reply) -> None:
    sink = opensearch.make("test", settings(scripted.url, auth={"token": "T0KEN&/of-ours"}), tools(Forgetful()))
    await sink.start()
    scripted.then(reply)
    try:
        [answer] = await sink.send(TWO[:1])
        said = "" if answer is None else answer.reason
    except (Temporary, Permanent) as error:
        said = str(error)
    finally:
        await sink.stop()

    assert "…" in said
    assert "of-ours" not in said


async def test_the_whole_reason_is_told_in_a_line(scripted: ScriptedReceiver, sink: opensearch.OpenSearchSink) -> None:
    error = {
        "type": "mapper_parsing_exception",
        "reason": "failed to parse\nfield [message]",
        "caused_by": {"type": "number_format_exception", "reason": "For input string: " + "x" * 9000},
    }
    scripted.then(json_reply({"items": [{"index": {"status": 400, "error": error}}]}))
    [refused] = await sink.send(TWO[:1])

    assert isinstance(refused, Rejected)
    assert refused.reason.startswith("mapper_parsing_exception: failed to parse field [message]: For input string: xx")
    assert len(refused.reason) <= 400


async def test_a_node_that_is_away_is_left_out_and_comes_back() -> None:
    async with ScriptedReceiver() as first, ScriptedReceiver() as second:
        engines = [ScriptedEngine(first), ScriptedEngine(second)]
        sink = opensearch.make("test", settings([first.url, second.url]), tools(Forgetful()))
        await sink.start()
        await engines[0].fault("refused")
        for number in range(6):
            assert await sink.send([delivery(number)]) == [None]
        await engines[0].fault(None)
        await engines[1].fault("refused")
        for number in range(6, 12):
            assert await sink.send([delivery(number)]) == [None]
        await sink.stop()

    assert [len(engine.received()) for engine in engines] == [6, 6]


async def test_a_node_that_is_unwell_is_left_for_the_next() -> None:
    async with ScriptedReceiver() as first, ScriptedReceiver() as second:
        engines = [ScriptedEngine(first), ScriptedEngine(second)]
        sink = opensearch.make("test", settings([first.url, second.url]), tools(Forgetful()))
        await sink.start()
        await engines[0].fault("server")
        for number in range(6):
            assert await sink.send([delivery(number)]) == [None]
        await sink.stop()

    assert len(engines[1].received()) == 6


async def test_when_no_node_answers_the_last_reason_is_told() -> None:
    sink = opensearch.make("test", settings(["http://127.0.0.1:9", "http://127.0.0.1:10"]), tools(Forgetful()))
    with pytest.raises(Temporary, match=r"can't connect to 127\.0\.0\.1:(9|10)") as refused:
        await sink.start()
    await sink.stop()

    assert refused.value.failure == "refused"


async def test_templates_that_may_not_be_written_stop_nothing_where_there_is_an_index(
    scripted: ScriptedReceiver,
) -> None:
    denied = json_reply({"error": {"type": "security_exception", "reason": "no permissions"}, "status": 403}, 403)
    scripted.answer = lambda asked: Reply() if asked.method == "HEAD" else denied
    sink = opensearch.make("test", settings(scripted.url), tools(Forgetful()))
    await sink.start()
    scripted.answer = lambda asked: Reply(status=404) if asked.method == "HEAD" else denied
    with pytest.raises(Temporary, match=r"no permissions.*template: false") as refused:
        await sink.start()
    await sink.stop()

    assert refused.value.failure == "auth"


async def test_a_deletion_that_fails_is_tried_again_in_a_minute(scripted: ScriptedReceiver) -> None:
    sink = opensearch.make("test", settings(scripted.url, delete_after="1d"), tools(Forgetful()))
    await sink.start()
    scripted.requests.clear()
    scripted.then(UNAVAILABLE, json_reply({}))
    with pytest.raises(Temporary):
        await sink.tick(0)
    for second in (1, 59, 61, 120, 3600):
        await sink.tick(second * 1_000_000)
    await sink.stop()

    assert len(scripted.requests) == 2


BAD = [
    ({"url": "opensearch:9200"}, "url: an address"),
    ({"url": []}, "url: at least one"),
    ({"url": ["http://a:9200", "http://a:9200"]}, "url: the same address"),
    ({"url": "http://me:secret@a:9200"}, "url: .*under auth"),
    ({"index": "Pipetrail"}, "index: 'Pipetrail'"),
    ({"index": "a*"}, "index: "),
    ({"index": "-a"}, "index: "),
    ({"runs": "pipetrail-events-runs"}, "runs: this name"),
    ({"shards": 0}, "shards: at least 1"),
    ({"replicas": -1}, "replicas: 0 or more"),
    ({"delete_after": "soon"}, "delete_after: 'soon'"),
    ({"batch": {"bytes": "much"}}, "batch.bytes: 'much'"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_settings_that_can_not_be_say_what_is_wrong(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        opensearch.make("test", settings(**({"url": "http://a:9200"} | changes)), tools(Forgetful()))  # type: ignore[arg-type]

    assert "secret" not in str(refused.value)
