"""Against real servers: what arrives, where it lies, how it is found again, and what refusals come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipetrail.model import Again, Permanent, Rejected, Temporary
from pipetrail.model.times import SECOND, parse_time
from pipetrail.sinks import opensearch
from pipetrail.sinks.opensearch_documents import event_document
from pipetrail.sinks.settings import Batching
from pipetrail.testing.deliveries import Forgetful
from pipetrail.testing.strategies import HOSTILE
from tests.sinks.opensearch.nodes import START, Target, delivery, event, of_run, standing, subject, tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipetrail.sinks.opensearch import OpenSearchSink

DAY = 86_400 * SECOND


@pytest.fixture
async def made(target: Target) -> Any:
    """Makes further sinks for the node, and stops them."""
    sinks = []

    async def make(**changes: Any) -> OpenSearchSink:
        sinks.append(opensearch.make("test", target.settings(**changes), tools(Forgetful())))
        await sinks[-1].start()
        return sinks[-1]

    yield make
    for sink in sinks:
        await sink.stop()


async def test_events_are_found_by_what_ecs_calls_them(sink: OpenSearchSink, target: Target) -> None:
    sent = [
        delivery(1, reason="OOMKilled", severity="error"),
        delivery(2),
        delivery(3, message="the node had disk pressure"),
    ]

    assert await sink.send(sent) == [None] * 3
    ids = [each.event.id for each in sent]
    assert target.hits({"term": {"event.reason": "OOMKilled"}}) == ids[:1]
    assert target.hits({"term": {"log.level": "error"}}) == ids[:1]
    assert target.hits({"match": {"message": "disk"}}) == ids[2:]
    assert target.hits({"term": {"kubernetes.pod.name": "train-2"}}) == ids[1:2]
    assert target.hits({"term": {"kubernetes.container.name": "main"}}) == ids
    assert target.hits({"range": {"@timestamp": {"gte": "2026-01-15T03:12:02Z"}}}) == ids[1:]
    assert target.hits({"term": {"event.id": ids[0]}}) == ids[:1]


async def test_events_are_counted_by_reason_run_and_cause(sink: OpenSearchSink, target: Target) -> None:
    failed = standing("run-2", "Failed", reason="oom", category="resources", blame="user")
    sent = [
        delivery(1, standing("run-1"), links=(subject("run-1"),)),
        delivery(2, failed, links=(subject("run-2"),), reason="OOMKilled"),
        delivery(3, failed, links=(subject("run-2"),)),
        delivery(4),
    ]

    assert await sink.send(sent) == [None] * 4
    assert target.buckets("event.reason") == {"BackOff": 3, "OOMKilled": 1}
    assert target.buckets("pipetrail.run.id") == {"run-1": 1, "run-2": 2}
    assert target.buckets("pipetrail.run.pipeline") == {"nightly": 3}
    assert target.buckets("pipetrail.cause") == {"oom": 2}
    assert target.buckets("pipetrail.blame") == {"user": 2}


async def test_a_verdict_is_found_with_its_cause_and_remedy(sink: OpenSearchSink, target: Target) -> None:
    verdict = {
        "run": "run-1", "system": "argo", "cluster": "prod", "namespace": "ml", "name": "nightly", "state": "Failed",
        "cause": "oom", "title": "Out of memory", "reason": "OOMKilled", "category": "resources", "blame": "user",
        "confidence": "high", "since": START, "about": {}, "summary": "It was killed", "remedy": "Raise the limit",
    }  # fmt: skip
    one = delivery(1, origin="verdict", reason="oom", verdict=verdict, links=(subject("run-1"),))

    assert await sink.send([one]) == [None]
    assert target.hits({"match": {"pipetrail.verdict.remedy": "limit"}}) == [one.event.id]
    [found] = target.sources()
    assert found["event"]["kind"] == "alert"
    assert found["pipetrail"]["cause"] == "oom"


async def test_an_event_goes_to_the_index_of_its_own_day_whenever_it_is_sent(
    sink: OpenSearchSink, target: Target
) -> None:
    """T-78: Event 23:59:59Z sent 00:00:05Z."""
    at = parse_time("2026-01-15T23:59:59Z")
    sent = [
        delivery(1, at=at, observed_at=at + 6 * SECOND),
        delivery(2, at=at + 2 * SECOND, observed_at=at + 6 * SECOND),
    ]

    assert await sink.send(sent) == [None, None]
    assert target.indices() == [f"{target.index}-2026.01.15", f"{target.index}-2026.01.16"]
    [found] = target.sources(f"{target.index}-2026.01.15")
    assert found["@timestamp"] == "2026-01-15T23:59:59.000000Z"


async def test_an_event_far_from_when_it_was_seen_makes_no_index_of_its_own(
    sink: OpenSearchSink, target: Target
) -> None:
    sent = [delivery(seq, at=parse_time(f"20{seq:02}-06-01T00:00:00Z"), observed_at=START) for seq in range(1, 24)]

    assert await sink.send(sent) == [None] * 23
    assert target.indices() == [f"{target.index}-2026.01.15"]
    assert len(target.documents()) == 23


async def test_labels_that_begin_alike_are_no_conflict_and_stay_as_they_were(
    sink: OpenSearchSink, target: Target
) -> None:
    """T-79: labels `app` and `app.kubernetes.io/name`."""
    labels = {"app": "train", "app.kubernetes.io/name": "train", "app.kubernetes.io": "x"}
    marks = {"app.kubernetes.io/name": "a", "app": "b", "a..b": "c", "": "empty", ".": "dot"}
    sent = [
        delivery(1, standing(labels=labels), marks=marks),
        delivery(2, standing(labels={"app": "other"}), marks={"app": "b"}),
        delivery(3, standing(labels={"app.kubernetes.io/name": "only"})),
    ]

    assert await sink.send(sent) == [None] * 3
    found = target.sources()
    assert found[0]["labels"] == labels
    assert found[0]["pipetrail"]["marks"] == marks
    assert [each.get("labels") for each in found] == [each.run.labels for each in sent if each.run is not None]


async def test_labels_can_be_searched_where_the_product_can_it(
    sink: OpenSearchSink, target: Target, server: Any
) -> None:
    await sink.send([delivery(1, standing(labels={"team": "vision"})), delivery(2, standing(labels={"team": "nlp"}))])

    version = server.request("GET", "/")["version"]
    can = version.get("distribution") == "opensearch"
    assert len(target.hits({"term": {"labels.team": "vision"}})) == (1 if can else 0)


async def test_sending_again_changes_nothing(sink: OpenSearchSink, target: Target) -> None:
    sent = [delivery(seq) for seq in range(1, 21)]
    for _ in range(3):
        assert await sink.send(sent) == [None] * 20

    found = target.documents()
    assert [(each["_id"], each["_version"]) for each in found] == [(each.event.id, 1) for each in sent]


async def test_better_links_replace_and_worse_ones_never_come_back(sink: OpenSearchSink, target: Target) -> None:
    first = delivery(1)
    better = msgspec.structs.replace(
        first, seq=9, event=msgspec.structs.replace(first.event, revision=2, links=(subject("run-1"),))
    )

    for each in (first, better, first, better):
        assert await sink.send([each]) == [None]
    [found] = target.documents()
    assert found["_version"] == 2
    assert found["_source"]["pipetrail"]["run"]["id"] == "run-1"


async def test_a_run_is_one_document_that_shows_how_it_stands_last(sink: OpenSearchSink, target: Target) -> None:
    running = standing(state="Running")
    failed = standing(
        state="Failed", reason="oom", blame="user", finished=START + 90 * SECOND, phases={"pulling": 12_500_000}
    )
    for changes in ([of_run(3, running), of_run(8, failed)], [of_run(3, running)]):
        assert not any(await sink.send(changes))

    [found] = target.documents(target.runs)
    assert found["_id"] == "prod/run-1"
    assert target.buckets("pipetrail.run.state", target.runs) == {"Failed": 1}
    assert target.buckets("pipetrail.cause", target.runs) == {"oom": 1}
    assert target.hits({"range": {"pipetrail.phases.pulling": {"gt": 12}}}, target.runs) == ["prod/run-1"]
    assert found["_source"]["pipetrail"]["seconds"] == 90
    assert target.indices() == [target.runs]


async def test_hostile_texts_arrive_as_they_are(sink: OpenSearchSink, target: Target) -> None:
    sent = [
        delivery(seq, message=text, reason=text, marks={text: text}, action=text, cluster=text)
        for seq, text in enumerate(HOSTILE, 1)
    ]

    assert await sink.send(sent) == [None] * len(sent)
    written = [msgspec.json.decode(msgspec.json.encode(event_document(each, each.event.id))) for each in sent]
    assert target.sources() == written


async def test_very_long_texts_are_kept(sink: OpenSearchSink, target: Target) -> None:
    long = "ü" * 40_000
    sent = [
        delivery(1, message=long, reason=long, node=long),
        delivery(2, standing(name=long, labels={"team": "x" * 63}), marks={"note": long, "n" * 300: "x"}),
    ]

    assert await sink.send(sent) == [None, None]
    assert [each["_id"] for each in target.documents()] == [each.event.id for each in sent]


async def test_no_field_is_added_by_what_events_say(sink: OpenSearchSink, target: Target, server: Any) -> None:
    pattern = f"/{target.index}-*/_mapping"
    await sink.send([delivery(1)])
    [before] = server.request("GET", pattern).values()
    await sink.send([delivery(seq, standing(labels={f"l{seq}": "1"}), marks={f"m{seq}": "1"}) for seq in range(2, 300)])
    [after] = server.request("GET", pattern).values()

    assert before == after


async def test_a_document_that_does_not_fit_is_rejected_and_the_others_arrive(
    sink: OpenSearchSink, target: Target, server: Any
) -> None:
    """T-74, at the receiver: 1 of 100."""
    numeric = {"mappings": {"properties": {"message": {"type": "long"}}}}
    server.request("PUT", f"/{target.index}-2026.01.15", numeric)
    sent = [delivery(seq, message="a text" if seq == 50 else "1") for seq in range(1, 101)]
    found = await sink.send(sent)

    bad = found[49]
    assert isinstance(bad, Rejected)
    assert "mapper_parsing_exception" in bad.reason
    assert "message" in bad.reason
    assert len(bad.reason) < 500
    assert [answer for answer in found if answer is not None] == [bad]
    assert len(target.documents()) == 99


async def test_an_index_that_nobody_may_make_is_waited_for(sink: OpenSearchSink, target: Target, server: Any) -> None:
    server.request("PUT", f"/{target.index}-2026.01.15")
    server.request("PUT", "/_cluster/settings", {"transient": {"action.auto_create_index": "false"}})
    try:
        found = await sink.send([delivery(1), delivery(2, at=START + DAY, observed_at=START + DAY)])
    finally:
        server.request("PUT", "/_cluster/settings", {"transient": {"action.auto_create_index": None}})

    assert found[0] is None
    assert isinstance(found[1], Again)
    assert "auto_create_index" in found[1].reason


def _closed(server: Any, index: str) -> None:
    server.request("POST", f"/{index}/_close")


def _blocked(server: Any, index: str) -> None:
    server.request("PUT", f"/{index}/_settings", {"index.blocks.write": True})


def _full(server: Any, index: str) -> None:
    server.request("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": True})


@pytest.mark.parametrize("state", [_closed, _blocked, _full])
async def test_an_index_that_can_not_be_written_now_loses_nothing(
    sink: OpenSearchSink, target: Target, server: Any, state: Callable[[Any, str], None]
) -> None:
    index = f"{target.index}-2026.01.15"
    server.request("PUT", f"/{index}")
    state(server, index)
    with pytest.raises(Temporary) as refused:
        await sink.send([delivery(seq) for seq in range(1, 4)])
    assert refused.value.failure in ("client", "limited")
    if state is _closed:
        server.request("POST", f"/{index}/_open")
    elif state is _blocked:
        server.request("PUT", f"/{index}/_settings", {"index.blocks.write": False})
    else:
        server.request("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": None})

    assert await sink.send([delivery(seq) for seq in range(1, 4)]) == [None] * 3


async def test_a_cluster_without_room_for_a_shard_loses_nothing(
    sink: OpenSearchSink, target: Target, server: Any
) -> None:
    server.request("PUT", "/_cluster/settings", {"transient": {"cluster.max_shards_per_node": 1}})
    server.request("PUT", f"/{target.index}-other")
    try:
        with pytest.raises(Temporary, match="no room for another shard"):
            await sink.send([delivery(1), delivery(2)])
    finally:
        server.request("PUT", "/_cluster/settings", {"transient": {"cluster.max_shards_per_node": None}})

    assert await sink.send([delivery(1), delivery(2)]) == [None] * 2


async def test_a_batch_is_sent_in_pieces_of_its_bound(target: Target, made: Any) -> None:
    sink = await made(batch=Batching(bytes="1Mi"))
    sent = [delivery(seq, message="x" * 20_000) for seq in range(1, 601)]  # 12 MB; the node takes 8

    assert await sink.send(sent) == [None] * 600
    assert len(target.documents()) == 600


async def test_a_body_that_the_node_finds_too_large_is_permanent(sink: OpenSearchSink) -> None:
    with pytest.raises(Permanent, match="413"):
        await sink.send([delivery(1, message="x" * 9_000_000)])


async def test_what_is_sent_compressed_arrives_too(target: Target, made: Any) -> None:
    sink = await made(gzip=True)

    assert await sink.send([delivery(seq) for seq in range(1, 101)]) == [None] * 100
    assert len(target.documents()) == 100


async def test_the_template_closes_the_mapping_of_indices_that_come(
    sink: OpenSearchSink, target: Target, server: Any
) -> None:
    await sink.send([delivery(1), of_run(2, standing())])

    for index in target.indices():
        [found] = server.request("GET", f"/{index}").values()
        assert found["mappings"]["dynamic"] == "false"
        assert found["settings"]["index"]["number_of_replicas"] == "0"


async def test_a_template_is_written_when_it_is_missing_older_or_has_other_numbers_and_else_left(
    target: Target, made: Any, server: Any
) -> None:
    path = f"/_index_template/{target.index}"

    def written() -> Any:
        return server.request("GET", path)["index_templates"][0]["index_template"]

    await made()
    first = written()
    changed = first | {"_meta": {"description": "mine"}}
    server.request("PUT", path, changed)
    await made()
    assert written() == changed
    await made(replicas=1)
    assert written()["template"]["settings"]["index"]["number_of_replicas"] == "1"
    server.request("PUT", path, changed | {"version": 0})
    await made()
    assert written() == first
    server.request("PUT", path, changed | {"version": 999})
    await made(replicas=1)
    assert written()["version"] == 999


async def test_without_template_none_is_written(target: Target, made: Any, server: Any) -> None:
    await made(template=False)

    with pytest.raises(Exception, match="404"):
        server.request("GET", f"/_index_template/{target.index}")


async def test_old_indices_are_deleted_by_name_and_nothing_else(target: Target, made: Any, server: Any) -> None:
    now = parse_time("2026-01-31T00:00:00Z")
    kept = [
        f"{target.index}-2026.01.17",
        f"{target.index}-2026.01",
        f"{target.index}-2026.01.15-copy",
        f"{target.index}-2026.13.45",
        f"{target.index}-old-2026.01.01",
        f"{target.index}-2026.1.01",
        f"x{target.index}-2026.01.01",
        target.runs,
    ]
    old = [f"{target.index}-2026.01.15", f"{target.index}-2026.01.16", f"{target.index}-2024.02.29"]
    for index in (*kept, *old):
        server.request("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}})
    sink = await made(delete_after="14d")
    await sink.tick(now)

    assert sorted(set(kept) - {f"x{target.index}-2026.01.01"}) == target.indices()
    server.request("DELETE", f"/x{target.index}-2026.01.01")


async def test_months_end_when_they_end(target: Target, made: Any, server: Any) -> None:
    for index in (f"{target.index}-2026.01", f"{target.index}-2026.02", f"{target.index}-2026.01.15"):
        server.request("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}})
    sink = await made(delete_after="28d", period="month")
    await sink.send([delivery(1)])
    await sink.tick(parse_time("2026-03-01T00:00:00Z"))

    assert target.indices() == [f"{target.index}-2026.01.15", f"{target.index}-2026.02"]


async def test_a_probe_names_the_server_and_leaves_nothing(sink: OpenSearchSink, target: Target, server: Any) -> None:
    version = server.request("GET", "/")["version"]
    said = await sink.probe()

    assert version["number"] in said
    assert said.startswith("OpenSearch" if version.get("distribution") == "opensearch" else "Elasticsearch")
    assert target.indices() == []
    server.request("PUT", f"/{sink._writer.name(sink._now())}")
    assert "takes documents" in await sink.probe()
    assert target.documents() == []


async def test_a_probe_says_that_it_may_not_write(sink: OpenSearchSink, target: Target, server: Any) -> None:
    index = sink._writer.name(sink._now())
    server.request("PUT", f"/{index}")
    _blocked(server, index)
    with pytest.raises(Temporary, match="cluster_block_exception"):
        await sink.probe()


def test_the_events_of_these_tests_are_about_a_kilobyte() -> None:
    one = delivery(1, standing(), links=(subject("run-1"),))

    assert 900 < len(msgspec.json.encode(event_document(one, one.event.id))) < 1500
    assert event(1).id == one.event.id
