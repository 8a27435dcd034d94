"""From a file to checked values: the sections one by one, all mistakes at once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipetrail.analysis.resolvers.configured import Configured
from pipetrail.config.document import Where, read
from pipetrail.config.errors import ConfigError
from pipetrail.config.secrets import literals, put_in
from pipetrail.config.structure import Mistake, mistakes, name_of
from pipetrail.config.types import Config
from pipetrail.config.values import parse_address, parse_retention_age, parse_size
from pipetrail.model.times import parse_age

_EXAMPLE = "a mapping is expected, such as `journal: /var/lib/pipetrail/journal.db`"


def load(
    path: str | None, *, thorough: bool = False, sinks: bool = False, warn: Callable[[str], None] | None = None
) -> Config:
    """The configuration in a file, or the defaults where none is named.

    :param thorough: whether files that it names are checked too; who uses them does so anyway.
    :param sinks: whether the sinks are read. They bring their own modules, and secrets that only the process that sends
        must have: who only reads the journal leaves them out, and gets none.
    :param warn: told of what is no mistake, but not wise, with its place.
    :raises ConfigError: with all that is wrong, one line each: file, line, what and what is allowed.
    """
    if path is None:
        return Config()
    document = read(path)
    found = document.found
    if found is None:
        return Config()
    if not isinstance(found, dict):
        raise ConfigError([f"{path}:1: {_EXAMPLE}"])
    if warn is not None:
        for where in literals(found.get("sinks"), ["sinks"]):
            hint = "it stands in the file for all who read it; write ${NAME} or file:/path"
            warn(f"{path}:{document.line(where)}: {name_of(where)}: {hint}")
    rest = {key: value for key, value in found.items() if key != "sinks"}
    section = found.get("sinks") if sinks else None  # `sinks:` with nothing below it says nothing
    told: list[Mistake] = []

    def missing(where: Where, what: str) -> None:
        told.append((where, f"{name_of(where)}: {what}"))

    rest = put_in(rest, [], missing)
    section = put_in(section, ["sinks"], missing)
    unread = [where for where, _ in told]
    told += [mistake for mistake in _mistakes(rest) if mistake[0] not in unread]
    if section is not None:
        from pipetrail.config.sinks import alerts_without_end, settings, sink_mistakes

        told += [mistake for mistake in sink_mistakes(section, unread) if mistake[0] not in unread]
    told += _catalogue_mistakes(rest.get("catalogue")) if thorough else ()
    errors = sorted([*document.twice, *((document.line(where), what) for where, what in told)])
    if errors:
        raise ConfigError([f"{path}:{line}: {what}" for line, what in errors])
    if section is not None and warn is not None:
        for where in alerts_without_end(section):
            hint = (
                "it leaves out runs that end well, so alerts last for a day; choose by cluster, namespace or pipeline"
            )
            warn(f"{path}:{document.line(where)}: {name_of(where)}: {hint}")
    config = msgspec.convert(rest, Config)
    return config if section is None else msgspec.structs.replace(config, sinks=settings(section))


def sink_types(path: str) -> dict[str, str]:
    """The names of the sinks in a file, and the word under ``type`` of each; their settings are not looked at.

    :raises ConfigError: when the file can't be read.
    """
    found = read(path).found
    section = found.get("sinks") if isinstance(found, dict) else None
    if not isinstance(section, dict):
        return {}
    return {str(name): str(value.get("type", "")) if isinstance(value, dict) else "" for name, value in section.items()}


def has_sinks(path: str) -> bool:
    """Whether a file names sinks. One that can't be read may: who reads them says what is wrong."""
    try:
        return bool(sink_types(path))
    except ConfigError:
        return True


def _mistakes(found: dict[Any, Any]) -> Iterator[Mistake]:
    """Every mistake in a file, section by section, with its path; the sinks are left out."""
    yield from mistakes([], found, Config)
    entries = found.get("resolvers")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            try:
                Configured(entry)
            except ValueError as error:
                yield ["resolvers", number], f"resolvers[{number}].{error}"
    retention = found.get("retention")
    for key, parse in (("size", parse_size), ("age", parse_retention_age)):
        if isinstance(retention, dict) and isinstance(value := retention.get(key), str):
            try:
                parse(value)
            except ValueError as error:
                yield ["retention", key], f"retention.{key}: {error}"
    if isinstance(ttl := found.get("event_ttl"), str) and parse_age(ttl) is None:
        yield ["event_ttl"], f"event_ttl: {ttl!r} is no length of time: write 1h or 90m"
    for key in ("stuck_after", "zombie_after"):
        if isinstance(patience := found.get(key), str) and patience.strip() != "0" and parse_age(patience) is None:
            yield [key], f"{key}: {patience!r} is no length of time: write 1h, 90m or 0 for ever"
    if isinstance(listen := found.get("listen"), str) and listen:
        try:
            parse_address(listen)
        except ValueError as error:
            yield ["listen"], f"listen: {error}"


def _catalogue_mistakes(folder: Any) -> Iterator[Mistake]:
    """What is wrong with the team's own files of the catalogue."""
    if not isinstance(folder, str):
        return
    from pipetrail.catalogue import CatalogueError
    from pipetrail.catalogue import load as load_catalogue

    try:
        load_catalogue(Path(folder))
    except CatalogueError as error:
        for line in error.errors:
            yield ["catalogue"], f"catalogue: {line}"
