"""A node as the tests of this folder use it, and what they send there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from pipetrail.model import Delivery, Event, Link, Micros, ObjectRef, Standing
from pipetrail.model.identity import fingerprint
from pipetrail.model.times import SECOND, parse_time
from pipetrail.sinks import opensearch
from pipetrail.sinks.tools import Memory, Tools

if TYPE_CHECKING:
    from cluster.opensearch import SearchCluster

START = parse_time("2026-01-15T03:12:00Z")


def tools(memory: Memory) -> Tools:
    """The world, with the real clock."""
    return Tools(now=lambda: time.time_ns() // 1000, memory=memory)


class Target:
    """Indices of their own in a cluster: all whose names begin with ``word``."""

    def __init__(self, cluster: SearchCluster, word: str) -> None:
        self.cluster = cluster
        self.index, self.runs = f"{word}-events", f"{word}-runs"
        self._word = word

    def settings(self, **changes: Any) -> opensearch.Settings:
        """Those of a sink for them."""
        given: dict[str, Any] = {
            "url": self.cluster.urls,
            "index": self.index,
            "runs": self.runs,
            "replicas": 0,
        } | changes
        return opensearch.Settings(type="opensearch", **given)

    def documents(self, index: str = "") -> list[dict[str, Any]]:
        """All documents of events (or of another index), by their place in the journal, as a search gives them."""
        pattern = index or f"{self.index}-*"
        self.cluster.request("POST", f"/{pattern}/_refresh")
        query = {"size": 10_000, "version": True, "sort": [{"event.sequence": "asc"}]}
        found: list[dict[str, Any]] = self.cluster.search(pattern, query)["hits"]["hits"]
        return found

    def sources(self, index: str = "") -> list[dict[str, Any]]:
        """The documents themselves."""
        return [found["_source"] for found in self.documents(index)]

    def indices(self) -> list[str]:
        """The names of all of them."""
        rows = self.cluster.request("GET", f"/_cat/indices/{self._word}-*?format=json&h=index&expand_wildcards=all")
        return sorted(row["index"] for row in rows)

    def hits(self, query: dict[str, Any], index: str = "") -> list[str]:
        """The ids of the documents that a query finds."""
        pattern = index or f"{self.index}-*"
        self.cluster.request("POST", f"/{pattern}/_refresh")
        found = self.cluster.search(pattern, {"size": 1000, "query": query, "sort": [{"event.sequence": "asc"}]})
        return [hit["_id"] for hit in found["hits"]["hits"]]

    def buckets(self, field: str, index: str = "") -> dict[str, int]:
        """How many documents there are for each word of a field."""
        pattern = index or f"{self.index}-*"
        self.cluster.request("POST", f"/{pattern}/_refresh")
        wanted = {"size": 0, "aggs": {"found": {"terms": {"field": field, "size": 100}}}}
        found = self.cluster.search(pattern, wanted)["aggregations"]["found"]["buckets"]
        return {bucket["key"]: bucket["doc_count"] for bucket in found}

    def clear(self) -> None:
        """Delete them."""
        for index in self.indices():
            self.cluster.request("DELETE", f"/{index}")


def event(seq: int = 1, **changes: Any) -> Event:
    """An event of a pod, one second after the one before it."""
    at = START + seq * SECOND
    base = Event(
        number=fingerprint("opensearch", str(seq)),
        cluster="prod",
        at=at,
        observed_at=at + 100_000,
        origin="kubernetes",
        about=ObjectRef(
            api_version="v1",
            kind="Pod",
            namespace="ml",
            name=f"train-{seq}",
            uid=f"uid-{seq}",
            field_path="spec.containers{main}",
        ),
        reason="BackOff",
        message=f"Back-off restarting failed container {seq}",
        severity="warning",
        type="Warning",
        reporter="kubelet",
        node="node-1",
        seq=seq,
    )
    return msgspec.structs.replace(base, **changes)


def delivery(seq: int = 1, run: Standing | None = None, **changes: Any) -> Delivery:
    """The delivery of such an event."""
    return Delivery(seq=seq, event=event(seq, **changes), run=run)


def standing(run: str = "run-1", state: str = "Running", at: Micros = START, **changes: Any) -> Standing:
    """How a run stands."""
    base = Standing(
        cluster="prod",
        system="argo",
        run=run,
        name="nightly-x7k2p",
        state=state,
        at=at,
        namespace="ml",
        pipeline="nightly",
        queue="gpu",
        labels={"team": "vision"},
        started=START,
    )
    return msgspec.structs.replace(base, **changes)


def of_run(seq: int, run: Standing) -> Delivery:
    """What a sink is sent when a run comes into another state."""
    about = ObjectRef(api_version="argoproj.io/v1alpha1", kind="Workflow", namespace="ml", name=run.name, uid=run.run)
    return delivery(seq, run, origin="run", about=about, reason=run.state, message="", links=(subject(run.run),))


def subject(run: str) -> Link:
    """The link of an event to its run."""
    return Link(rel="subject", system="argo", run=run, run_name="nightly-x7k2p", step="train", attempt=1)
