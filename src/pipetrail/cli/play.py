"""``pipetrail play``: recordings into a journal."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipetrail.app.playing import Played


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--journal", envvar="PIPETRAIL_JOURNAL", type=click.Path(), help="The journal file.")
@click.option("--config", "config_file", envvar="PIPETRAIL_CONFIG", type=click.Path(), help="The configuration file.")
@click.option("--speed", type=click.FloatRange(min=0), default=0, help="Factor of the recorded time; 0: at once.")
@click.option("--cluster", help="The cluster's name in the journal; default the folder's name.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def play(
    folders: tuple[Path, ...],
    journal: str | None,
    config_file: str | None,
    speed: float,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Play recordings (see `pipetrail capture`) into the journal, each FOLDER as a cluster of its name.

    A folder of recordings stands for all in it. What was played before goes on where it ended.
    """
    from pipetrail.app.playing import PlayOptions
    from pipetrail.app.playing import play as run
    from pipetrail.app.reading import Patience
    from pipetrail.catalogue import CatalogueError
    from pipetrail.catalogue import load as load_catalogue
    from pipetrail.config import ConfigError, default_journal, load, parse_retention_age
    from pipetrail.model.times import parse_age
    from pipetrail.sources.playback import NoRecording, recordings
    from pipetrail.stores.sqlite import JournalError

    try:
        settings = load(config_file)
        found = recordings(folders)
        if cluster and len(found) > 1:
            raise SystemExit(_fail(2, f"--cluster names one cluster, but there are {len(found)} recordings"))
        options = PlayOptions(
            journal=journal or settings.journal or default_journal(),
            speed=speed or None,
            full_text=settings.full_text,
            event_ttl=parse_age(settings.event_ttl) or 0,
            resolvers=tuple(settings.resolvers),
            catalogue=load_catalogue(Path(settings.catalogue) if settings.catalogue is not None else None),
            patience=Patience(
                stuck_after=parse_retention_age(settings.stuck_after),
                zombie_after=parse_retention_age(settings.zombie_after),
            ),
        )
        width = max(len(folder.name) for folder in found)
        done = asyncio.run(run(found, options, cluster=cluster, progress=None if quiet else _Progress(width)))
    except (ConfigError, CatalogueError) as error:
        raise SystemExit(_fail(2, str(error))) from error
    except NoRecording as error:
        raise SystemExit(_fail(1, str(error))) from error
    except JournalError as error:
        raise SystemExit(_fail(3, str(error))) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if not quiet:
        frames = sum(one.new_frames for one in done)
        recordings_word = "recording" if len(done) == 1 else "recordings"
        with contextlib.suppress(BrokenPipeError):
            click.echo(f"Played {frames:,} frames of {len(done)} {recordings_word} into {options.journal}")


def _fail(code: int, text: str) -> int:
    click.echo(f"pipetrail play: {text}", err=True)
    return code


class _Progress:
    """One line a recording on a terminal, written over while it is played."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._terminal = sys.stderr.isatty()
        self._last = ""

    def __call__(self, played: "Played") -> None:
        if not self._terminal:
            return
        if self._last and self._last != played.cluster:
            sys.stderr.write("\n")
        self._last = played.cluster
        sys.stderr.write(f"\r\x1b[2K{played.cluster:<{self._width}}  {played.frames:>9,} frames")
        sys.stderr.flush()
