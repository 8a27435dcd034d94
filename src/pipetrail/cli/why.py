"""``pipetrail why``: why a run failed or waits, whose turn it is, what to do, and on what evidence."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.choosing import several, unknown
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.render import stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.words import ShortTimes, kinds_meant, object_meant
from pipetrail.model import Micros, ObjectQuery
from pipetrail.model.times import SECOND

if TYPE_CHECKING:
    from pipetrail.analysis.diagnosis import Verdict
    from pipetrail.app.overview import Group
    from pipetrail.app.reading import RunReader
    from pipetrail.app.why import Answer, OfNode
    from pipetrail.catalogue import Catalogue
    from pipetrail.stores.sqlite.reading import JournalReader

    Found = Answer | list[OfNode] | list[Group]
    Until = Callable[[str], Micros]

_POLL_SECONDS = 1.0
_AGAIN_SECONDS = 30.0  # a wait becomes too long without any change in the journal
_DAY = 24 * 3600 * SECOND


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, beside the journal."""

    name: str | None
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    since: Micros | None


@click.command()
@click.argument("name", metavar="[RUN]", required=False)
@options.several("--cluster", metavar="NAME", help="Only in these clusters, by name or id.")
@options.several("-n", "--namespace", metavar="NAME", help="Only in these namespaces.")
@click.option(
    "--since", type=options.When(), help="Without RUN, or of a node: what went wrong since then; default 24h."
)
@click.option("--at", type=options.When(), help="Answer as of this time, with what was recorded until then.")
@click.option("-w", "--watch", is_flag=True, help="Answer again when the answer changes.")
@options.output("text", "json", "yaml")
@options.diagnosing_journal
def why(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    patience: options.Patience,
    catalogue: Path | None,
    name: str | None,
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    since: Micros | None,
    at: Micros | None,
    watch: bool,
    output: str,
) -> None:
    """Say why a run failed or waits, whose turn it is, what to do, how sure that is, and on what evidence.

    RUN is a run's name or id, or namespace/name; run/step for one step; a pod, a job or another of its objects, as
    name, kind/name, namespace/kind/name or by its uid. Of a node: which runs it hit. Without RUN: all that failed since
    yesterday or waits now, by cause.

    \b
    pipetrail why ranker-train-9fz4d
    pipetrail why sweep-88/train --at 03:12
    pipetrail why po/train-0
    pipetrail why gpu-a1
    pipetrail why --since 2h -o json | jq '{cause: .cause.id, count}'
    """
    from pipetrail.app.reading import Patience, RunReader
    from pipetrail.catalogue import load
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    if watch and at is not None:
        raise click.UsageError("--watch follows what goes on: it can't be given with --at")
    screen = Screen.current()
    causes = load(catalogue)
    with JournalReader(journal) as reader:
        known = labels(reader)
        asked = Asked(name=name, clusters=cluster_ids(cluster, known), namespaces=namespace, since=since)

        def ask() -> "tuple[Found, Until]":
            now = at if at is not None else screen.now()
            runs = RunReader(reader, now, resolvers, at=at, patience=Patience(**patience))
            return answered(runs, causes, asked, now, known), runs.now

        several = len({state.cluster for state in reader.sources()}) > 1

        def show(found: "Found", until: "Until") -> None:
            if output == "text":
                stdout().write(_text(found, screen, known if several else {}).encode())
            else:
                shapes = _shapes(found, until, reader, at)
                stdout().write(json_lines(shapes) if output == "json" else yaml_documents(shapes))
            stdout().flush()

        if watch:
            _watch(reader, ask, show, screen, output)
        else:
            show(*ask())


def answered(runs: "RunReader", catalogue: "Catalogue", asked: Asked, now: Micros, clusters: dict[str, str]) -> "Found":
    """The answer for one run, for the nodes of a name, or for all runs.

    :raises Failure: when the name means nothing, or several runs.
    """
    from pipetrail.app.overview import overview
    from pipetrail.app.why import answer, near_names, of_nodes, subjects

    since = asked.since if asked.since is not None else now - _DAY
    if asked.name is None:
        return overview(runs, catalogue, since, clusters=asked.clusters, namespaces=asked.namespaces)
    meant = _object_meant(asked.name)
    found = subjects(runs, asked.name, meant=meant, clusters=asked.clusters, namespaces=asked.namespaces)
    if len(found) > 1:
        raise Failure(several(asked.name, [each.run for each in found], clusters), USAGE)
    if found:
        return answer(found[0], catalogue, runs)
    node = meant.names[0] if meant is not None and "node" in map(str.lower, meant.kinds) else asked.name
    nodes = of_nodes(runs, catalogue, node, since, clusters=asked.clusters)
    if not nodes:
        near = near_names(runs, meant.names[0] if meant is not None else asked.name)
        raise Failure(unknown(asked.name, runs.reader.path, near), FAILED)
    return nodes


def _object_meant(word: str) -> ObjectQuery | None:
    """The object that a word names with its kind; None where it does not have that form."""
    try:
        namespace, kind, name = object_meant(word)
    except ValueError:
        return None
    return ObjectQuery(kinds=kinds_meant(kind), names=(name,), namespaces=(namespace,) if namespace else ())


def _shapes(found: "Found", until: "Until", reader: "JournalReader", at: Micros | None) -> list[msgspec.Struct]:
    from pipetrail.app.causes import newer_than
    from pipetrail.app.overview import Group
    from pipetrail.cli.why_shapes import group_shape, node_shape, why_shape

    if not isinstance(found, list):
        run = found.run
        return [why_shape(found, newer_than(reader, run.cluster, run.id, at) if at is not None else None)]
    return [group_shape(one) if isinstance(one, Group) else node_shape(one, until(one.cluster)) for one in found]


def _text(found: "Found", screen: Screen, clusters: dict[str, str]) -> str:
    from pipetrail.app.overview import Group
    from pipetrail.cli.whygroups import groups_text, node_text
    from pipetrail.cli.whytext import answer_text

    if not isinstance(found, list):
        return answer_text(found, screen, clusters)
    nodes = [one for one in found if not isinstance(one, Group)]
    if nodes:
        return "\n".join(node_text(one, screen, clusters) for one in nodes)
    return groups_text([one for one in found if isinstance(one, Group)], screen, clusters)


def _watch(
    reader: "JournalReader",
    ask: "Callable[[], tuple[Found, Until]]",
    show: "Callable[[Found, Until], None]",
    screen: Screen,
    output: str,
) -> None:
    """Print the answer, and again whenever it is another one. Ends on Ctrl-C."""
    short = ShortTimes(screen.now())
    told: object = None
    seen, asked_at = -1, 0.0
    try:
        while True:
            last = reader.last_seq()
            if last != seen or time.monotonic() - asked_at > _AGAIN_SECONDS:
                seen, asked_at = last, time.monotonic()
                found, until = ask()
                if _gist(found) != told:
                    if output == "text" and told is not None:
                        stdout().write(f"\n── {short(screen.now())[:8]}\n".encode())
                    told = _gist(found)
                    show(found, until)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _gist(found: "Found") -> object:
    """What makes an answer another one: not that time goes on, or that the same was seen once more."""
    from pipetrail.app.overview import Group

    if not isinstance(found, list):
        return found.run.state, _what(found.verdict)
    return [
        [_what(each.verdict) for each in one.runs]
        if isinstance(one, Group)
        else (len(one.events), [_what(each) for each in one.verdicts])
        for one in found
    ]


def _what(verdict: "Verdict | None") -> object:
    if verdict is None:
        return None
    return (
        verdict.run,
        verdict.state,
        verdict.cause,
        verdict.reason,
        verdict.confidence,
        verdict.since,
        verdict.missing,
    )
