"""The files of deploy/opensearch and the tables of the how-to, made from the code.

A test says when they are out of date; `python -m tests.sinks.opensearch.written` writes them anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipetrail.sinks.opensearch_template import EVENT_FIELDS, RUN_FIELDS, Field, Flat, template

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "opensearch"
PAGE = ROOT / "docs" / "how-to" / "opensearch.md"
EVENTS, RUNS = "pipetrail-events-*", "pipetrail-runs"


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    found = {}
    products: dict[str, Flat] = {"opensearch": "flat_object", "elasticsearch": "flattened"}
    for product, flat in products.items():
        for name, pattern, fields in (("events", EVENTS, EVENT_FIELDS), ("runs", RUNS, RUN_FIELDS)):
            found[f"{product}-{name}.json"] = json.dumps(template(pattern, fields, flat, 1, 1), indent=2) + "\n"
    found["dashboard.ndjson"] = "".join(json.dumps(each) + "\n" for each in saved_objects())
    return found


def table(fields: tuple[Field, ...]) -> str:
    """The fields as a table of the how-to."""
    rows = (
        f"| `{field.name}`{'' if field.ecs else ' *'} | {field.type} | {field.meaning} |\n"
        for field in sorted(fields, key=lambda field: field.name)
    )
    return "| Field | Type | |\n| --- | --- | --- |\n" + "".join(rows)


def page(text: str) -> str:
    """The how-to with its tables as they should be."""
    for name, fields in (("events", EVENT_FIELDS), ("runs", RUN_FIELDS)):
        head, begin, rest = text.partition(f"<!-- fields of {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->\n")
        text = head + begin + table(fields) + end + tail
    return text


def saved_objects() -> list[dict[str, Any]]:
    """The dashboard: what failed and why, beside all that happened."""
    panels = [
        ("reasons", "Events by reason", EVENTS, "", _histogram("event.reason")),
        ("causes", "Failed runs by cause", RUNS, 'pipetrail.run.state: "Failed"', _terms("pipetrail.cause")),
        ("blame", "Failed runs by whose turn it is", RUNS, 'pipetrail.run.state: "Failed"', _terms("pipetrail.blame")),
        ("pipelines", "Runs by pipeline", RUNS, "", _terms("pipetrail.run.pipeline")),
        ("states", "Runs by state", RUNS, "", _terms("pipetrail.run.state")),
        ("nodes", "Errors by node", EVENTS, 'log.level: "error"', _terms("kubernetes.node.name")),
    ]
    found = [_pattern(EVENTS), _pattern(RUNS)]
    found += [_visualization(*panel) for panel in panels]
    grid = [
        {
            "panelIndex": str(number),
            "panelRefName": f"panel_{number}",
            "version": "2.0.0",
            "gridData": {"i": str(number), "x": number % 2 * 24, "y": number // 2 * 15, "w": 24, "h": 15},
            "embeddableConfig": {},
        }
        for number in range(len(panels))
    ]
    references = [
        {"id": f"pipetrail-{name}", "name": f"panel_{number}", "type": "visualization"}
        for number, (name, *_) in enumerate(panels)
    ]
    attributes = {
        "title": "pipetrail",
        "description": "Runs, why they failed, and the events around them",
        "panelsJSON": json.dumps(grid),
        "optionsJSON": json.dumps({"useMargins": True}),
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}})},
    }
    return [*found, {"id": "pipetrail", "type": "dashboard", "attributes": attributes, "references": references}]


def _pattern(title: str) -> dict[str, Any]:
    attributes = {"title": title, "timeFieldName": "@timestamp"}
    return {"id": title.rstrip("-*"), "type": "index-pattern", "attributes": attributes, "references": []}


def _visualization(name: str, title: str, pattern: str, query: str, state: dict[str, Any]) -> dict[str, Any]:
    source = {
        "query": {"query": query, "language": "kuery"},
        "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }
    attributes = {
        "title": title,
        "visState": json.dumps({"title": title} | state),
        "uiStateJSON": "{}",
        "description": "",
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    reference = {"id": pattern.rstrip("-*"), "name": source["indexRefName"], "type": "index-pattern"}
    return {"id": f"pipetrail-{name}", "type": "visualization", "attributes": attributes, "references": [reference]}


def _count() -> dict[str, Any]:
    return {"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}}


def _terms(field: str) -> dict[str, Any]:
    words = {"field": field, "size": 20, "order": "desc", "orderBy": "1"}
    bucket = {"id": "2", "enabled": True, "type": "terms", "schema": "segment", "params": words}
    return {"type": "pie", "aggs": [_count(), bucket], "params": {"type": "pie", "addLegend": True, "isDonut": True}}


def _histogram(field: str) -> dict[str, Any]:
    times = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1}
    words = {"field": field, "size": 10, "order": "desc", "orderBy": "1"}
    aggs = [
        _count(),
        {"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment", "params": times},
        {"id": "3", "enabled": True, "type": "terms", "schema": "group", "params": words},
    ]
    series = {"show": True, "type": "histogram", "mode": "stacked", "data": {"id": "1", "label": "Count"}}
    return {"type": "histogram", "aggs": aggs, "params": {"type": "histogram", "seriesParams": [series]}}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
