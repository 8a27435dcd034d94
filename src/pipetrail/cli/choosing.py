"""The one run that a word of the command line means, or an error that says what to type instead."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.words import clean
from pipetrail.documents.times import FullTimes
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.analysis.runs import Run
    from pipetrail.app.run import Candidate
    from pipetrail.cli.options import Patience
    from pipetrail.stores.sqlite.reading import JournalReader

_LISTED = 20  # candidates of an ambiguous name


def the_run(
    reader: "JournalReader",
    name: str,
    now: Micros,
    resolvers: Sequence[dict[str, Any]],
    *,
    known: dict[str, str],
    clusters: Sequence[str] = (),
    namespaces: Sequence[str] = (),
    patience: "Patience | None" = None,
) -> "Candidate":
    """The run of that name or id, or of that object.

    :param known: what people call the clusters, by id.
    :param patience: what the configuration says of waiting.
    :raises Failure: when there is none, or when there are several.
    """
    from pipetrail.app.run import candidates

    found = candidates(reader, name, now, resolvers, clusters=clusters, namespaces=namespaces, **(patience or {}))
    if not found:
        text = f"{name}: {reader.path} holds no run of this name or id; `pipetrail runs` lists them"
        raise Failure(clean(text), FAILED)
    if len(found) > 1:
        raise Failure(several(name, [each.run for each in found], known), USAGE)
    return found[0]


def unknown(name: str, journal: str, near: Sequence[str]) -> str:
    """That nothing has this name, with names that look like it."""
    text = f"{name}: {journal} holds no run, step, object or node of this name or id"
    like = f" (there is: {', '.join(near)})" if near else ""
    return clean(f"{text}{like}; `pipetrail runs` lists the runs")


def several(name: str, found: "Sequence[Run]", clusters: dict[str, str]) -> str:
    """What an ambiguous name can mean, each with the id to type instead."""
    times = FullTimes()
    lines = [f"{name} can mean {len(found)} runs; type one of these ids, or narrow with --cluster and -n"]
    for one in found[:_LISTED]:
        created = times(one.created)[:19] + "Z" if one.created is not None else "-"
        where = f"{clusters.get(one.cluster, one.cluster)} {one.namespace or '-'}"
        lines.append(f"  {one.id}  {where}  created {created}  {one.state}")
    if len(found) > _LISTED:
        lines.append(f"  … and {len(found) - _LISTED} older ones")
    return "\n".join(clean(line) for line in lines)
