"""Options that several commands share, as decorators and types."""

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import click

from pipetrail.cli.screen import Screen
from pipetrail.cli.words import kinds_meant, object_meant
from pipetrail.model import Micros, ObjectQuery, Query, parse_when

F = TypeVar("F", bound=Callable[..., Any])
_FAR = 1 << 61  # microseconds; SQLite's integers end soon after

if TYPE_CHECKING:
    _Instants = click.ParamType[Micros]
    _Numbers = click.ParamType[int]
    _Names = click.ParamType[tuple[str, str, str]]
else:
    _Instants = _Numbers = _Names = click.ParamType  # not generic before click 8.5

SEVERITIES = ("info", "warning", "error")
ORIGINS = ("kubernetes", "status", "gap", "verdict")


class When(_Instants):
    """A point in time as people write it, in microseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Micros:
        """The instant that is meant; anything else is a usage error that says what is understood."""
        if isinstance(value, int):
            return value
        screen = ctx.find_object(Screen) if ctx is not None else None
        now = screen.now() if screen is not None else time.time_ns() // 1000
        try:
            return min(_FAR, max(-_FAR, parse_when(value, now)))
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


class Size(_Numbers):
    """A number of bytes as people write it."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes that are meant."""
        from pipetrail.config import parse_size

        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except ValueError:
            size = None
        if not size or size > _FAR:
            self.fail(f"{value!r} is no size: write 500M or 10Gi", param, ctx)
        return size


class Object(_Names):
    """An object's name: ``kind/name`` or ``namespace/kind/name``; the parts, namespace first."""

    name = "object"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str, str]:
        """Namespace (or nothing), kind and name."""
        if isinstance(value, tuple):
            return value
        try:
            return object_meant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _words(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Options given several times, and words with commas between, as one list."""
    return tuple(word.strip() for part in value for word in part.split(",") if word.strip())


def among(allowed: tuple[str, ...]) -> Callable[..., tuple[str, ...]]:
    """The callback of an option that takes some of these words, in any case."""

    def check(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(word.lower() for word in _words(ctx, param, value))
        for word in words:
            if word not in allowed:
                raise click.BadParameter(f"{word!r} is not one of {', '.join(allowed)}", ctx, param)
        return words

    return check


def several(*names: str, help: str, metavar: str, check: Callable[..., tuple[str, ...]] = _words) -> Callable[[F], F]:
    """An option that may come several times, and takes words with commas between."""
    return click.option(*names, multiple=True, callback=check, help=help, metavar=metavar)


def output(*formats: str) -> Callable[[F], F]:
    """``-o``: the first format is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="The form of the output.",
    )


_JOURNAL_OPTIONS = (
    click.option(
        "--journal",
        envvar="PIPETRAIL_JOURNAL",
        type=click.Path(),
        metavar="FILE",
        help="The journal; by default the one in the user's state directory. [env: PIPETRAIL_JOURNAL]",
    ),
    click.option(
        "--config",
        "config_file",
        envvar="PIPETRAIL_CONFIG",
        type=click.Path(),
        metavar="FILE",
        help="The configuration file. [env: PIPETRAIL_CONFIG]",
    ),
)


def journal_options(command: F) -> F:
    """``--journal`` and ``--config``; the command gets ``journal``, the file to use."""

    @configured_sinks
    @wraps(command)
    def found(*args: Any, config_file: str | None, **rest: Any) -> Any:
        return command(*args, **rest)

    return _with(command, found)


def configured_sinks(command: F) -> F:
    """The same options; the command gets ``journal``, and ``config_file``, the path of the configuration or None."""

    @wraps(command)
    def found(*args: Any, journal: str | None, config_file: str | None, **rest: Any) -> Any:
        return command(*args, journal=journal_of(journal, config_file), config_file=config_file, **rest)

    return _with(command, found, _JOURNAL_OPTIONS)


class Patience(TypedDict, total=False):
    """How :mod:`pipetrail.app.runs` judges runs, where the configuration says it; None: for ever."""

    stuck_after: Micros | None
    zombie_after: Micros | None


def configured_journal(command: F) -> F:
    """``--journal`` and ``--config``; the command gets ``journal``, and ``resolvers``, what is said of own systems."""

    @judged_journal
    @wraps(command)
    def found(*args: Any, patience: Patience, **rest: Any) -> Any:
        return command(*args, **rest)

    return _with(command, found)


def judged_journal(command: F) -> F:
    """The same, and ``patience``: how long a run may wait, and run without a pod."""

    @wraps(command)
    def found(*args: Any, journal: str | None, config_file: str | None, **rest: Any) -> Any:
        resolvers: tuple[dict[str, Any], ...] = ()
        patience: Patience = {}
        if config_file is not None:
            from pipetrail.config import load, parse_retention_age

            settings = load(config_file)
            journal, resolvers = journal or settings.journal, tuple(settings.resolvers)
            patience["stuck_after"] = parse_retention_age(settings.stuck_after)
            patience["zombie_after"] = parse_retention_age(settings.zombie_after)
        return command(*args, journal=journal_of(journal, None), resolvers=resolvers, patience=patience, **rest)

    return _with(command, found, _JOURNAL_OPTIONS)


def diagnosing_journal(command: F) -> F:
    """The same, with ``--catalogue``; the command gets ``catalogue`` too, the folder of own files or None."""
    judged = judged_journal(command)

    @wraps(judged)
    def found(*args: Any, config_file: str | None, folder: Path | None, **rest: Any) -> Any:
        if folder is None and config_file is not None:
            from pipetrail.config import load

            named = load(config_file).catalogue
            folder = Path(named) if named is not None else None
        return judged(*args, config_file=config_file, catalogue=folder, **rest)

    return _with(command, found, (catalogue_option,))


catalogue_option = click.option(
    "--catalogue",
    "folder",
    envvar="PIPETRAIL_CATALOGUE",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of own catalogue files, read over the ones of pipetrail. [env: PIPETRAIL_CATALOGUE]",
)
"""``--catalogue``; the command gets ``folder``."""


def journal_of(journal: str | None, config_file: str | None) -> str:
    """The journal that options, configuration and default name, in this order.

    :raises ConfigError: when a configuration file is named and can't be used.
    """
    if config_file is not None:
        from pipetrail.config import load

        journal = journal or load(config_file).journal
    if not journal:
        from pipetrail.config import default_journal

        journal = default_journal()
    return journal


_OBJECT_OPTIONS = (
    click.argument("object_", metavar="[OBJECT]", type=Object(), required=False),
    several("--cluster", metavar="NAME", help="Only these clusters, by name or id."),
    several("-n", "--namespace", metavar="NAME", help="Only these namespaces."),
    several("--kind", metavar="KIND", help="Only objects of these kinds; kubectl's short names will do."),
    several("--name", metavar="NAME", help="Only objects of these names; a* means all that begin with a."),
    several("--uid", metavar="UID", help="Only the objects with these uids."),
)
_EVENT_OPTIONS = (
    *_OBJECT_OPTIONS,
    several("--reason", metavar="REASON", help="Only these reasons, such as BackOff or OOMKilled."),
    several("--severity", metavar="WORD", check=among(SEVERITIES), help="Only info, warning or error."),
    several("--origin", metavar="WORD", check=among(ORIGINS), help="Only kubernetes, status, gap or verdict."),
    several("--run", metavar="RUN", help="Only events of these runs, by name or id; see `pipetrail runs`."),
    click.option("-t", "--text", default="", metavar="WORDS", help="Only messages with all of these words."),
    click.option("--since", type=When(), help="From this time on: 2h, yesterday, 03:12 or 2026-11-24T03:12:00Z."),
    click.option("--until", type=When(), help="Only before this time."),
)


def event_filters(command: F) -> F:
    """The options that choose events; the command gets ``query``, and ``asked``, the object that was named."""

    @wraps(command)
    def found(
        *args: Any, severity: Any, origin: Any, reason: Any, run: Any, text: str, since: Any, until: Any, **rest: Any
    ) -> Any:
        chosen, asked = _object_query(rest)
        if since is not None and until is not None and since >= until:
            raise click.UsageError("--since must be before --until")
        query = Query(
            clusters=chosen.clusters,
            namespaces=chosen.namespaces,
            kinds=chosen.kinds,
            names=chosen.names,
            uids=chosen.uids,
            reasons=reason,
            severities=severity,
            origins=origin,
            runs=run,
            text=text.strip(),
            since=since,
            until=until,
        )
        return command(*args, query=query, asked=asked, **rest)

    return _with(command, found, _EVENT_OPTIONS)


def object_filters(command: F) -> F:
    """The options that choose objects; the command gets ``query``, and ``asked``, the object that was named."""

    @wraps(command)
    def found(*args: Any, **rest: Any) -> Any:
        query, asked = _object_query(rest)
        return command(*args, query=query, asked=asked, **rest)

    return _with(command, found, _OBJECT_OPTIONS)


def _with(command: F, found: Callable[..., Any], decorators: tuple[Any, ...] = ()) -> F:
    """What stands for a command, with these options. To click it is of the same type, though it is called otherwise."""
    for decorator in reversed(decorators):
        found = decorator(found)
    return cast(F, found)


def _object_query(given: dict[str, Any]) -> tuple[ObjectQuery, str]:
    """Take the options that choose objects out of all that were given; a query, and the object that was named."""
    object_ = given.pop("object_")
    clusters, namespaces, kinds, names, uids = (
        given.pop(key) for key in ("cluster", "namespace", "kind", "name", "uid")
    )
    asked = ""
    if object_ is not None:
        within, kind, name = object_
        if kinds or names:
            raise click.UsageError("an object was named: --kind and --name can't be given too")
        if within and namespaces:
            raise click.UsageError("the object was named with its namespace: --namespace can't be given too")
        kinds, names = (kind,), (name,)
        namespaces = (within,) if within else namespaces
        asked = "/".join(part for part in object_ if part)
    meant = tuple(found for word in kinds for found in kinds_meant(word))
    return ObjectQuery(clusters=clusters, namespaces=namespaces, kinds=meant, names=names, uids=uids), asked
