"""``pipetrail capture``: a live cluster into a recording."""

import asyncio
import sys
import time
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--context", help="Context of the kubeconfig.")
@click.option("--kubeconfig", type=click.Path(), help="The kubeconfig; default KUBECONFIG or ~/.kube/config.")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Only these namespaces.")
@click.option("--kind", "kinds", multiple=True, help="Only these resources, such as pods or jobs.batch.")
@click.option("--for", "duration", help="End after this time, such as 10m; default at Ctrl-C.")
def capture(
    folder: Path,
    context: str | None,
    kubeconfig: str | None,
    namespaces: tuple[str, ...],
    kinds: tuple[str, ...],
    duration: str | None,
) -> None:
    """Write what the cluster shows into FOLDER as a recording, to be played again with `pipetrail play FOLDER`.

    Objects are cleaned as for the journal: no env values, no commands, no annotations but the known ones, secrets
    redacted.
    """
    from pipetrail.kube.login import login_for
    from pipetrail.model.times import parse_age
    from pipetrail.telemetry import start_logging

    seconds = None
    if duration is not None:
        age = parse_age(duration)
        if age is None:
            click.echo(f"pipetrail capture: --for: {duration!r} is no length of time: write 90s or 10m", err=True)
            raise SystemExit(2)
        seconds = age / 1e6
    start_logging(json=not sys.stderr.isatty())
    login = login_for(kubeconfig, context)
    raise SystemExit(asyncio.run(_capture(login, folder, namespaces, kinds, seconds)))


async def _capture(
    login: object, folder: Path, namespaces: tuple[str, ...], kinds: tuple[str, ...], seconds: float | None
) -> int:
    from pipetrail.app.capturing import Capturing
    from pipetrail.app.recorder import until_signal
    from pipetrail.cli.record import unwrapped
    from pipetrail.kube.errors import ApiError

    async def work() -> bool:
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(_progress(capturing))
                await capturing.run()
        except TimeoutError:
            return True
        return True

    try:
        capturing = Capturing(
            login,  # type: ignore[arg-type]
            folder,
            now=lambda: time.time_ns() // 1000,
            namespaces=namespaces,
            kinds=kinds,
        )
        await until_signal(work())
    except (Exception, BaseExceptionGroup) as group:
        error = unwrapped(group)
        if isinstance(error, ApiError | OSError):
            click.echo(f"pipetrail capture: {error}", err=True)
            return 3
        raise
    click.echo(f"Captured {capturing.capture.frames:,} frames into {folder}; play them with: pipetrail play {folder}")
    return 0


async def _progress(capturing: object) -> None:
    from pipetrail.app.capturing import Capturing
    from pipetrail.cli.record import draw

    assert isinstance(capturing, Capturing)  # noqa: S101
    while sys.stderr.isatty():
        trouble = next(iter(capturing.trouble.items()), None)
        draw(
            f"capturing · {capturing.capture.frames:,} frames"
            + (f" · {len(capturing.trouble)} sources blind: {trouble[0]}: {trouble[1]}" if trouble else "")
        )
        await asyncio.sleep(1.0)
