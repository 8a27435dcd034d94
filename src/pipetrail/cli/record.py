"""``pipetrail record``: record clusters until told to stop."""

import asyncio
import contextlib
import logging
import signal
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipetrail import hangup
from pipetrail.config import Config, ConfigError, default_journal, load, parse_address, parse_retention_age, parse_size
from pipetrail.model.times import parse_age

if TYPE_CHECKING:
    from pipetrail.app.child import Child

_log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--context", "contexts", multiple=True, help="Context of the kubeconfig; several record several clusters."
)
@click.option("--kubeconfig", type=click.Path(), help="The kubeconfig; default KUBECONFIG or ~/.kube/config.")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Only these namespaces, with namespaced rights.")
@click.option("--cluster", help="The cluster's name in the journal; default the uid of namespace kube-system.")
@click.option("--journal", envvar="PIPETRAIL_JOURNAL", type=click.Path(), help="The journal file.")
@click.option("--config", "config_file", envvar="PIPETRAIL_CONFIG", type=click.Path(), help="The configuration file.")
@click.option("--listen", help="Where /livez, /readyz and /metrics are served; empty for nowhere.")
@click.option("--max-size", help="The journal's greatest size, such as 10Gi; the oldest events go first. 0: no bound.")
@click.option("--max-age", help="The greatest age of an event, such as 30d. 0: no bound.")
@click.option("--event-ttl", help="How long the cluster keeps Events (its API server's --event-ttl).")
@click.option("--full-text/--no-full-text", default=None, help="Index messages for search.")
@click.option("--no-sinks", is_flag=True, help="Send nothing to the sinks of the configuration.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done in detail.")
def record(
    contexts: tuple[str, ...],
    kubeconfig: str | None,
    namespaces: tuple[str, ...],
    cluster: str | None,
    journal: str | None,
    config_file: str | None,
    listen: str | None,
    max_size: str | None,
    max_age: str | None,
    event_ttl: str | None,
    full_text: bool | None,
    no_sinks: bool,
    verbose: bool,
) -> None:
    """Record the events and object states of a cluster into the journal.

    Records the current context of the kubeconfig, or inside a pod the cluster it runs in. Ctrl-C or SIGTERM stores what
    is under way and ends.

    Where the configuration has sinks, `pipetrail deliver` runs beside it as a process of its own, which can't hold the
    recording up; SIGHUP lets that read the sinks anew.
    """
    from pipetrail.app.cluster import ClusterOptions
    from pipetrail.app.health import default_listen
    from pipetrail.app.reading import Patience
    from pipetrail.app.recorder import RecorderOptions
    from pipetrail.catalogue import CatalogueError
    from pipetrail.catalogue import load as load_catalogue
    from pipetrail.kube.login import Login, login_for
    from pipetrail.stores.sqlite import Retention
    from pipetrail.telemetry import start_logging

    try:
        settings = load(config_file, sinks=not no_sinks)
        size = parse_size(max_size or settings.retention.size)
        age = parse_retention_age(max_age or settings.retention.age)
    except ConfigError as error:
        raise SystemExit(_usage(str(error))) from error
    except ValueError as error:
        raise SystemExit(_usage(f"--max-size/--max-age: {error}")) from error
    ttl = parse_age(event_ttl or settings.event_ttl)
    if ttl is None:
        raise SystemExit(_usage(f"--event-ttl: {event_ttl!r} is no length of time: write 1h or 90m"))
    if cluster and len(contexts) > 1:
        raise SystemExit(_usage("--cluster names one cluster; with several contexts name them in a configuration file"))

    try:
        causes = load_catalogue(Path(settings.catalogue) if settings.catalogue is not None else None)
    except CatalogueError as error:
        raise SystemExit(_usage(str(error))) from error
    patience = Patience(
        stuck_after=parse_retention_age(settings.stuck_after), zombie_after=parse_retention_age(settings.zombie_after)
    )
    clusters: list[tuple[Login, ClusterOptions]] = []
    for context, file, name, within in _wanted(settings, contexts, kubeconfig, namespaces, cluster):
        clusters.append(
            (
                login_for(file, context),
                ClusterOptions(
                    name=name,
                    namespaces=within,
                    event_ttl=ttl,
                    resolvers=tuple(settings.resolvers),
                    catalogue=causes,
                    patience=patience,
                ),
            )
        )

    terminal = sys.stderr.isatty()
    start_logging(json=not terminal, verbose=verbose)
    if settings.clusters and (contexts or kubeconfig or cluster):
        _log.warning("The command line names what to record; the clusters of the configuration are left out.")
    options = RecorderOptions(
        journal=journal or settings.journal or default_journal(),
        retention=Retention(size=size, age=age),
        full_text=settings.full_text if full_text is None else full_text,
    )
    where = next(address for address in (listen, settings.listen, default_listen()) if address is not None)
    try:
        if where:
            parse_address(where)
    except ValueError as error:
        raise SystemExit(_usage(f"--listen: {error}")) from error
    watched = None if no_sinks else config_file
    raise SystemExit(asyncio.run(_record(options, clusters, where, terminal, watched, verbose)))


def _wanted(
    settings: Config,
    contexts: tuple[str, ...],
    kubeconfig: str | None,
    namespaces: tuple[str, ...],
    cluster: str | None,
) -> list[tuple[str | None, str | None, str | None, tuple[str, ...]]]:
    """The clusters to record, as (context, kubeconfig, name, namespaces). Options win over the file."""
    if contexts or kubeconfig or cluster or not settings.clusters:
        return [(context, kubeconfig, cluster, namespaces) for context in contexts or (None,)]
    return [
        (entry.context, entry.kubeconfig, entry.name, namespaces or tuple(entry.namespaces))
        for entry in settings.clusters
    ]


def _usage(text: str) -> int:
    click.echo(f"pipetrail record: {text}", err=True)
    return 2


def unwrapped(error: BaseException) -> BaseException:
    """The first real error in groups of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _record(
    options: object, clusters: object, listen: str, terminal: bool, config_file: str | None, verbose: bool
) -> int:
    from pipetrail.app.child import Child
    from pipetrail.app.health import Health
    from pipetrail.app.recorder import Recorder, RecorderOptions, until_signal
    from pipetrail.config import has_sinks
    from pipetrail.kube.errors import ApiError
    from pipetrail.stores.sqlite import JournalError

    assert isinstance(options, RecorderOptions)  # noqa: S101
    delivery = None
    if config_file is not None:
        words = ["deliver", "--journal", options.journal, "--config", config_file, "--while-stdin"]
        delivery = Child([*words, "--verbose"] if verbose else words, lambda: has_sinks(config_file))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hang_up, delivery, terminal)
    hangup.release()
    recorder = Recorder(
        options,
        clusters,  # type: ignore[arg-type]
        now=lambda: time.time_ns() // 1000,
        delivery=delivery,
    )
    beside: list[object] = []
    if listen:
        beside.append(Health(listen))
    if terminal:
        beside.append(_status_line)
    try:
        stored = await until_signal(recorder.run(beside))  # type: ignore[arg-type]
    except (Exception, BaseExceptionGroup) as group:
        error = unwrapped(group)
        if isinstance(error, JournalError | ApiError):
            click.echo(f"pipetrail record: {error}", err=True)
            return 3
        if isinstance(error, OSError) and listen:
            click.echo(
                f"pipetrail record: --listen {listen}: {error.strerror or error}; choose another, or none: ''", err=True
            )
            return 3
        raise
    return 0 if stored else 1


def _hang_up(delivery: "Child", terminal: bool) -> None:
    """SIGHUP: read the sinks anew; but where it comes since the terminal was closed, end."""
    if terminal:
        try:
            termios.tcgetattr(sys.stderr)
        except (termios.error, OSError, ValueError):
            signal.raise_signal(signal.SIGTERM)
            return
    delivery.reload()


async def _status_line(recorder: object) -> None:
    """One line on the terminal that is written over each second."""
    from pipetrail.app.recorder import Recorder
    from pipetrail.cli.words import size_words

    assert isinstance(recorder, Recorder)  # noqa: S101
    before, loop = 0, asyncio.get_running_loop()
    started, last = loop.time(), loop.time()
    try:
        while True:
            await asyncio.sleep(1.0)
            done = recorder.writer.done
            now = loop.time()
            rate = (done.events - before) / (now - last)
            before, last = done.events, now
            objects = sum(
                len(known.source.reader)
                for c in recorder.clusters
                for known in c.following.values()
                if hasattr(known.source.reader, "__len__")
            )
            blind = recorder.blind()
            state = f"BLIND {blind[0]}" if blind and now - started > 5.0 else "connecting" if blind else "recording"
            parts = [
                state,
                f"{rate:,.0f} events/s",
                f"{done.events:,} events",
                f"{objects:,} objects",
                f"lag {recorder.lag_seconds():.1f} s",
                f"{done.gaps} gaps",
                size_words(done.bytes),
            ]
            if recorder.delivery is not None and recorder.delivery.trouble:
                parts.append(f"SINKS {recorder.delivery.trouble}")
            draw(" · ".join(parts))
    finally:
        with contextlib.suppress(OSError):
            click.echo("", err=True)


def draw(line: str) -> None:
    """Write a line over the last one on the terminal, cut to its width; foreign control characters become ?."""
    import shutil

    width = shutil.get_terminal_size().columns
    shown = "".join(char if char.isprintable() else "?" for char in line)
    sys.stderr.write("\r\x1b[2K" + (shown if len(shown) < width else shown[: width - 2] + "…"))
    sys.stderr.flush()
