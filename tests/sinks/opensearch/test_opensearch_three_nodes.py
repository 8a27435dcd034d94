"""A node dies in the middle: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pipetrail.model import Temporary
from pipetrail.sinks import opensearch
from pipetrail.testing.deliveries import Forgetful
from tests.sinks.opensearch.nodes import Target, delivery, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster.opensearch import SearchCluster
    from pipetrail.model import Delivery
    from pipetrail.sinks.opensearch import OpenSearchSink

DOCUMENTS, BATCH = 20_000, 500


async def test_a_killed_node_costs_no_document_and_doubles_none(three: SearchCluster) -> None:
    target = Target(three, "kill")
    index = f"{target.index}-2026.01.15"
    sink = opensearch.make("test", target.settings(replicas=1, timeout=10), tools(Forgetful()))
    await sink.start()
    sent = [delivery(seq) for seq in range(1, DOCUMENTS + 1)]
    batches = [sent[start : start + BATCH] for start in range(0, DOCUMENTS, BATCH)]
    await _deliver(sink, batches[0])
    three.request("GET", f"/_cluster/health/{index}?wait_for_status=green&timeout=60s")
    victim = three.primary(index)
    for number, batch in enumerate(batches[1:], 1):
        if number == len(batches) // 2:
            sending = asyncio.create_task(_deliver(sink, batch))
            await asyncio.sleep(0.01)
            three.kill(victim)
            await sending
        else:
            await _deliver(sink, batch)
    await sink.stop()

    assert three.count(index) == DOCUMENTS
    ids = set()
    for start in range(1, DOCUMENTS + 1, 10_000):
        found = three.search(
            index,
            {
                "size": 10_000,
                "version": True,
                "_source": False,
                "query": {"range": {"event.sequence": {"gte": start, "lt": start + 10_000}}},
            },
        )
        ids |= {(hit["_id"], hit["_version"]) for hit in found["hits"]["hits"]}
    assert ids == {(each.event.id, 1) for each in sent}


async def _deliver(sink: OpenSearchSink, batch: Sequence[Delivery]) -> None:
    """Try until all of a batch is taken, as delivery does."""
    rest = list(batch)
    async with asyncio.timeout(120):
        while rest:
            try:
                answers = await sink.send(rest)
            except Temporary:
                await asyncio.sleep(0.2)
            else:
                rest = [each for each, answer in zip(rest, answers, strict=True) if answer is not None]
