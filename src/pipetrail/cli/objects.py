"""``pipetrail objects``: the recorded objects in their last version, or in all."""

from collections.abc import Callable, Sequence

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.failures import FAILED, Failure
from pipetrail.cli.render import namespace_of, print_blocks, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines, object_shape
from pipetrail.cli.states import node_of, state_words
from pipetrail.cli.table import Cell, Column, Row, Table
from pipetrail.cli.words import ShortTimes, age_words, clean, object_words
from pipetrail.model import Micros, ObjectQuery, ObjectVersion

_BAD = (
    "Failed",
    "Error",
    "OOMKilled",
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "NotReady",
    "Lost",
    "Evicted",
)


@click.command()
@options.object_filters
@click.option("--deleted/--living", default=None, help="Only objects that are deleted, or only those that are not.")
@click.option("--versions", is_flag=True, help="Every recorded version, not only the last one.")
@options.output("table", "wide", "json", "yaml", "name")
@options.journal_options
def objects(journal: str, query: ObjectQuery, asked: str, deleted: bool | None, versions: bool, output: str) -> None:
    """Show objects as they were recorded, also after their deletion.

    OBJECT is kind/name or namespace/kind/name, with kubectl's short names for kinds.

    \b
    pipetrail objects -n ml --kind pod --deleted
    pipetrail objects ml/pod/train-0 -o json
    pipetrail objects job/train --versions
    """
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    with JournalReader(journal) as reader:
        known = labels(reader)
        several = len({state.cluster for state in reader.sources()}) > 1 and len(query.clusters) != 1
        query = msgspec.structs.replace(
            query, clusters=cluster_ids(query.clusters, known), deleted=deleted, versions=versions
        )
        encode: Callable[[Sequence[ObjectVersion]], bytes]
        match output:
            case "json":
                encode = _json
            case "yaml":
                encode = _yaml
            case "name":
                encode = _names
            case _:
                encode = ObjectTable(
                    Screen.current(), wide=output == "wide", versions=versions, clusters=known if several else None
                ).block
        shown = print_blocks(reader.objects(query), encode)
    if not shown:
        if asked:
            raise Failure(f"{asked}: {journal} does not hold this object", FAILED)
        if output in ("table", "wide"):
            click.echo("No objects match.", err=True)


def _json(versions: Sequence[ObjectVersion]) -> bytes:
    return json_lines([object_shape(version) for version in versions])


def _yaml(versions: Sequence[ObjectVersion]) -> bytes:
    return yaml_documents([object_shape(version) for version in versions])


def _names(versions: Sequence[ObjectVersion]) -> bytes:
    return "".join(clean(object_words(version.ref)) + "\n" for version in versions).encode()


class ObjectTable:
    """Objects for people, one line each.

    :param wide: the uid too, and nothing cut.
    :param versions: when each version was seen, in place of its age.
    :param clusters: what people call the clusters, by id; None leaves the column out.
    """

    def __init__(
        self, screen: Screen, *, wide: bool = False, versions: bool = False, clusters: dict[str, str] | None = None
    ) -> None:
        self._now = screen.now()
        self._short = ShortTimes(self._now)
        self._clusters = clusters
        self._versions = versions
        self._wide = wide
        columns = [Column("CLUSTER", 15, "end")] if clusters is not None else []
        columns += [Column("SEEN"), Column("SEQ", right=True)] if versions else []
        columns += [Column("NAMESPACE", 14, "end"), Column("KIND", 16, "end"), Column("NAME", 34, "middle")]
        columns += [Column("STATE", 20, "end"), Column("AGE"), Column("DELETED")]
        columns += [Column("API VERSION"), Column("UID")] if wide else []
        columns += [Column("NODE", 100, "end")]
        self._table = Table(columns, 0 if wide else screen.width, screen.colour)

    def block(self, versions: Sequence[ObjectVersion]) -> bytes:
        """The lines of some versions."""
        return self._table.lines([self._row(version) for version in versions]).encode()

    def _row(self, version: ObjectVersion) -> Row:
        ref = version.ref
        state = clean(state_words(ref.kind, version.body, version.deleted_at is not None)) or "-"
        row: list[Cell | str] = []
        if self._clusters is not None:
            row.append(clean(self._clusters.get(version.cluster, version.cluster)))
        if self._versions:
            row += [self._short(version.observed_at), str(version.seq)]
        row += [
            namespace_of(ref),
            clean(ref.kind),
            clean(ref.name),
            Cell(state, "red" if state.startswith(_BAD) else None),
            self._age(version),
            Cell(self._deleted(version), dim=True),
        ]
        if self._wide:
            row += [clean(ref.api_version), clean(ref.uid)]
        return [*row, clean(node_of(version.body)) or "-"]

    def _deleted(self, version: ObjectVersion) -> str:
        if version.deleted_at is None:
            return "-"
        return self._short(version.deleted_at) if self._wide else f"{age_words(self._now - version.deleted_at)} ago"

    def _age(self, version: ObjectVersion) -> str:
        """How old it is, or was when it went or was seen in this version."""
        if version.created_at is None:
            return "-"
        until: Micros = self._now
        if version.deleted_at is not None:
            until = version.deleted_at
        elif self._versions:
            until = version.observed_at
        return age_words(until - version.created_at)
