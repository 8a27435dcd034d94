"""``pipetrail emit``: tell a fact as a Kubernetes Event, from a shell step or from CI."""

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, UNREACHABLE, USAGE, Failure
from pipetrail.emitting import APIS, CORE, EVENTS, Api, Draft, InvalidEvent, Object, manifest
from pipetrail.emitting.answers import Refused, Unanswered
from pipetrail.emitting.manifests import checked
from pipetrail.emitting.place import NowhereError, Server, find_place, find_server, kubeconfig_server
from pipetrail.emitting.sender import event_name

if TYPE_CHECKING:
    from pipetrail.emitting.posting import Poster

REPORTER = "pipetrail.dev/cli"
_WAITS = (1.0, 2.0, 4.0)  # seconds before further tries of a server that does not answer
_OPTION = {"instance": "--reporter"}


class _Wanted(NamedTuple):
    """An Event that is to be created, and the same for the other API, where the caller did not choose one."""

    api: Api
    body: dict[str, Any]
    otherwise: dict[str, Any] | None = None

    @property
    def called(self) -> str:
        """How people name it."""
        metadata = self.body["metadata"]
        return f"event {metadata['namespace']}/{metadata.get('name') or metadata.get('generateName', '') + '...'}"


@click.command()
@click.option("--about", metavar="OBJECT", help="What it is about: pod/x or namespace/pod/x. In a pod: that pod.")
@click.option("--reason", metavar="WORD", help="Why, in one CamelCase word, such as ModelPromoted.")
@click.option("--message", "-m", metavar="TEXT", default="", help="For people; at most 1,024 bytes.")
@click.option(
    "--type",
    "type_",
    type=click.Choice(["Normal", "Warning"]),
    default="Normal",
    show_default=True,
    help="Warning for what somebody should look at.",
)
@click.option("--action", metavar="WORD", default="", help="What was done; the reason where it is not given.")
@click.option("--reporter", metavar="NAME", default=REPORTER, show_default=True, help="Who says so.")
@click.option("--run", envvar="PIPETRAIL_RUN", metavar="NAME", default="", help="The run that it belongs to.")
@click.option("--step", envvar="PIPETRAIL_STEP", metavar="NAME", default="", help="The step of it.")
@click.option("-n", "--namespace", metavar="NAME", default="", help="Where the object is; default that of the context.")
@click.option("--name", metavar="NAME", default="", help="Of the Event object; default one of its own.")
@click.option(
    "--api",
    type=click.Choice(APIS),
    help="The API to create it through.  [default: events.k8s.io/v1, or core/v1 where only that is allowed]",
)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Events as YAML or JSON; - for stdin.")
@click.option(
    "--dry-run",
    type=click.Choice(["none", "client", "server"]),
    default="none",
    show_default=True,
    help="Check it here only, or let the API server check it too; nothing is created.",
)
@options.output("text", "name", "json")
@click.option("--kubeconfig", type=click.Path(), help="The kubeconfig; default KUBECONFIG or ~/.kube/config.")
@click.option("--context", help="Context of the kubeconfig.")
def emit(
    files: tuple[str, ...], dry_run: str, output: str, kubeconfig: str | None, context: str | None, **said: Any
) -> None:
    """Tell a fact as a Kubernetes Event: it is on the timeline of the object that it is about.

    \b
    pipetrail emit --about ml/pod/train-7 --reason ModelPromoted -m "fraud:2"
    pipetrail emit -f event.yaml --dry-run=server

    What the API server would refuse is refused here, before anything is created.
    """
    if files and (said["about"] or said["reason"]):
        raise click.UsageError("-f has whole Events: --about and --reason can't be given too")
    server: Server | None = None
    if files:
        wanted = [found for file in files for found in _of_file(file)]
    else:
        if not said["reason"]:
            raise click.UsageError("say what happened: --reason, or a file with -f")
        wanted = [_of_options(said, "default")]
        if not _is_placed(said) and dry_run != "client":
            server = _server(kubeconfig, context)
            wanted = [_of_options(said, server.namespace or "default")]
    if dry_run == "client":
        for found in wanted:
            _tell(found, found.body, output, " (client dry run)")
        return
    _create(wanted, server or _server(kubeconfig, context), output, dry_run=dry_run == "server")


def _create(wanted: list[_Wanted], server: Server, output: str, *, dry_run: bool) -> None:
    from pipetrail.emitting.posting import Poster

    poster = Poster(server)
    try:
        if len(wanted) > 1 and not dry_run:
            # One that is refused should not leave the others half created.
            for found in wanted:
                _post(poster, found, dry_run=True)
        for found in wanted:
            stored = _post(poster, found, dry_run=dry_run)
            _tell(found._replace(body=stored), stored, output, " (server dry run)" if dry_run else "")
    finally:
        poster.close()


def _post(poster: "Poster", found: _Wanted, *, dry_run: bool) -> dict[str, Any]:
    namespace = found.body["metadata"]["namespace"]
    for wait in (*_WAITS, None):
        try:
            return poster.create(found.api, namespace, found.body, dry_run=dry_run)
        except Refused as error:
            if error.status == 403 and found.otherwise is not None:
                return _post(poster, _Wanted(CORE, found.otherwise), dry_run=dry_run)
            raise Failure(_advice(found, namespace, error), FAILED) from error
        except NowhereError as error:
            raise Failure(str(error), UNREACHABLE) from error
        except (Unanswered, OSError) as error:
            if wait is None:
                raise Failure(str(error), UNREACHABLE) from error
            after = error.after if isinstance(error, Unanswered) else None
            time.sleep(wait if after is None else min(after, 10.0))
    raise AssertionError("unreachable")


def _advice(found: _Wanted, namespace: str, error: Refused) -> str:
    text = f"{found.called}: {error}"
    if error.status == 403:
        text += f"\nit needs a Role in namespace {namespace} with the verb create on events (deploy/emit-role.yaml)"
    elif error.status == 404:
        text += f"\ncreate the namespace first (kubectl create namespace {namespace}), or name another with -n"
    elif error.status == 401:
        text += "\nthe login is refused: look at the kubeconfig, --kubeconfig and --context"
    return text


def _server(kubeconfig: str | None, context: str | None) -> Server:
    """The cluster that is meant: of the kubeconfig that is named, else of the pod, else of the current context."""
    try:
        if kubeconfig or context or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            return kubeconfig_server(kubeconfig, context)
        return find_server(os.environ)
    except NowhereError as error:
        raise Failure(str(error), UNREACHABLE) from error


def _is_placed(said: dict[str, Any]) -> bool:
    """Whether options or pod say in which namespace the object is, so that no kubeconfig need be asked."""
    about = said["about"] or ""
    return bool(said["namespace"] or about.count("/") == 2 or find_place(os.environ).namespace)


def _of_options(said: dict[str, Any], namespace: str) -> _Wanted:
    place = find_place(os.environ)
    try:
        where = said["namespace"] or place.namespace or namespace
        about = Object.meant(said["about"], where) if said["about"] else place.about
        if about is None:
            raise click.UsageError("say what it is about: --about pod/x")
        draft = Draft(
            about=about,
            reason=said["reason"],
            message=said["message"],
            type=said["type_"],
            action=said["action"],
            reporter=said["reporter"],
            instance=(place.pod or os.uname().nodename)[:128],
            namespace=said["namespace"] if about.namespace else "",
            run=said["run"],
            step=said["step"],
        )
        draft.check()
    except InvalidEvent as error:
        option = _OPTION.get(error.argument, f"--{error.argument.partition('.')[0]}")
        raise click.BadParameter(error.problem, param_hint=option) from error
    api: Any = said["api"]
    name, at = said["name"] or event_name(about.name), time.time_ns() // 1000
    try:
        found = _Wanted(*checked(manifest(draft, api or EVENTS, name=name, at=at)))
        return found if api else found._replace(otherwise=manifest(draft, CORE, name=name, at=at))
    except InvalidEvent as error:
        raise click.BadParameter(error.problem, param_hint=f"--{error.argument.rpartition('.')[2]}") from error


def _of_file(file: str) -> list[_Wanted]:
    """The Events in a file, each checked."""
    import yaml

    class Texts(yaml.SafeLoader):
        """Leaves times as the texts that they are."""

    Texts.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    called = "standard input" if file == "-" else file
    try:
        if file == "-":
            text = sys.stdin.buffer.read()
        else:
            with open(file, "rb") as opened:
                text = opened.read()
        documents = [found for found in yaml.load_all(text, Texts) if found is not None]
    except OSError as error:
        raise Failure(f"{called}: {error.strerror}", USAGE) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Failure(f"{called}: {' '.join(str(error).split())[:300]}", USAGE) from error
    listed = [
        item
        for found in documents
        for item in (found["items"] if isinstance(found, dict) and isinstance(found.get("items"), list) else [found])
    ]
    if not listed:
        raise Failure(f"{called}: there is no Event in it", USAGE)
    wanted = []
    for number, found in enumerate(listed, start=1):
        try:
            wanted.append(_Wanted(*checked(found)))
        except InvalidEvent as error:
            which = f" ({number} of {len(listed)})" if len(listed) > 1 else ""
            raise Failure(f"{called}{which}: {error}", USAGE) from error
    return wanted


def _tell(found: _Wanted, stored: dict[str, Any], output: str, how: str) -> None:
    if output == "json":
        click.echo(json.dumps(stored, ensure_ascii=False))
    elif output == "name":
        click.echo(f"event/{found.called.rpartition('/')[2]}")
    else:
        click.echo(f"{found.called} created{how}")
