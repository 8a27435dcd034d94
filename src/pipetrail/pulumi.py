"""Kubernetes Events of a pipeline, declared as code with Pulumi (the extra ``pipetrail[pulumi]``).

A Kubernetes Event is gone after an hour, and what then happens to a plain ``kubernetes.core.v1.Event`` is in
docs/explanation/declared-events.md: a changed one can't be updated, and a refresh makes it a second time. A
:class:`PipelineEvent` is a new Event whenever its content or its triggers change, and carries an id that tells the
recorder when it is the same one again. What the API server would refuse is refused at preview, by the argument's name.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Literal, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import Input, Output, Resource, ResourceOptions

from pipetrail.emitting import APIS, CORE, Api, Draft, InvalidEvent, Object, checks, manifest
from pipetrail.emitting.draft import check_home
from pipetrail.marks import EVENT_ID

__all__ = ["InvalidPipelineEvent", "PipelineEvent", "PipelineEventArgs", "PipelineEvents"]

REPORTER = "pipetrail.dev/pulumi"
_TYPE = "pipetrail:index:PipelineEvent"

About = Resource | Input[str] | Input[Mapping[str, Any]]
"""A resource of the program, ``pod/x``, ``namespace/pod/x``, or a mapping: kind, namespace, name, apiVersion, uid."""


class InvalidPipelineEvent(pulumi.RunError):
    """An event that the API server would refuse; the text names the resource, the argument and the remedy.

    It ends the program, at preview already, without a traceback.
    """


class PipelineEventArgs(TypedDict, total=False):
    """The arguments of :class:`PipelineEvent`, for :class:`PipelineEvents`."""

    about: About
    reason: Input[str]
    message: Input[str]
    type: Input[Literal["Normal", "Warning"]]
    action: Input[str] | None
    reporter: Input[str]
    run: Input[str] | None
    step: Input[str] | None
    triggers: Input[Any]
    namespace: Input[str] | None
    event_name: Input[str] | None
    api: Api
    labels: Input[Mapping[str, str]] | None
    annotations: Input[Mapping[str, str]] | None


class PipelineEvent(pulumi.ComponentResource):
    """One fact of a pipeline, as a Kubernetes Event.

    :param name: of the resource, unique in the stack.
    :param about: the object that the event is about.
    :param reason: why, in one CamelCase word; at most 128 bytes.
    :param message: for people; at most 1,024 bytes.
    :param type: ``Normal``, or ``Warning`` for what somebody should look at.
    :param action: what was done, in one word; the reason where it is not given.
    :param reporter: who says so, a qualified name such as ``example.com/ml-scheduler``.
    :param run: the run that it belongs to, by name or id; kept as label and annotation ``pipetrail.dev/run``.
    :param step: the step of it; ``pipetrail.dev/step``.
    :param triggers: any value; when it changes, the event has happened again.
    :param namespace: where the Event goes: that of its object, or ``default`` for an object that is in none.
    :param event_name: of the Event object; made from ``name`` and the content where it is not given.
    :param api: ``core/v1`` or ``events.k8s.io/v1``.
    :param labels: more labels of the Event.
    :param annotations: more annotations of it.
    :raises InvalidPipelineEvent: when the API server would refuse it.
    """

    event_name: Output[str]
    event_namespace: Output[str]
    event_uid: Output[str]

    def __init__(
        self,
        name: str,
        *,
        about: About,
        reason: Input[str],
        message: Input[str],
        type: Input[Literal["Normal", "Warning"]] = "Normal",
        action: Input[str] | None = None,
        reporter: Input[str] = REPORTER,
        run: Input[str] | None = None,
        step: Input[str] | None = None,
        triggers: Input[Any] = None,
        namespace: Input[str] | None = None,
        event_name: Input[str] | None = None,
        api: Api = CORE,
        labels: Input[Mapping[str, str]] | None = None,
        annotations: Input[Mapping[str, str]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__(_TYPE, name, {}, opts)
        check = partial(_checked, name)
        check("api", api, lambda argument, value: checks.choice(argument, value, APIS))
        object_ = _object(name, about, namespace)
        given = Output.all(
            about=object_,
            reason=check("reason", reason, _text(checks.REASON)),
            message=check("message", message, _text(checks.MESSAGE, required=False, lines=True)),
            type=check("type", type, lambda argument, value: checks.choice(argument, value, checks.TYPES)),
            action=check("action", reason if action is None else action, _text(checks.ACTION)),
            reporter=check("reporter", reporter, checks.qualified),
            run=check("run", run or "", _text(checks.RUN, required=False)),
            step=check("step", step or "", _text(checks.RUN, required=False)),
            namespace=check("namespace", namespace or "", _namespace),
            labels=check("labels", labels or {}, checks.labels),
            annotations=check("annotations", annotations or {}, checks.annotations),
        )
        if event_name is not None:
            event_name = check("event_name", event_name, checks.subdomain)
        instance = f"{pulumi.get_project()}/{pulumi.get_stack()}"[: checks.INSTANCE]
        draft = given.apply(lambda found: _draft(name, instance, found))
        kept = draft.apply(lambda found: lambda: found)  # Output.all makes plain tuples of named ones
        fact = Output.all(_urn(self), kept, triggers).apply(lambda found: fact_id(found[0], found[1](), found[2]))
        named = event_name if event_name is not None else fact.apply(lambda found: _name(name, found))
        body = Output.all(kept, fact, named).apply(lambda found: _body(api, found[0](), *found[1:]))
        if not isinstance(about, Resource) and _can_ask(self, opts):
            body = Output.all(body, _home_is_there(self, draft)).apply(lambda found: found[0])
        event = _event(name, api, body, _uid(name, about), fixed=event_name is not None, parent=self)
        self.event_name = event.metadata.apply(lambda found: found.name)
        self.event_namespace = event.metadata.apply(lambda found: found.namespace)
        self.event_uid = event.metadata.apply(lambda found: found.uid)
        self.register_outputs(
            {
                "event_name": self.event_name,
                "event_namespace": self.event_namespace,
                "event_uid": self.event_uid,
            }
        )


class PipelineEvents(pulumi.ComponentResource):
    """Several facts at once, each a :class:`PipelineEvent`.

    :param name: of the resource; each event's is this, a ``-`` and its key.
    :param events: the arguments of each event by its key. An event is known by its key: others may come and go.
    :param shared: arguments that all of them have, where their own do not say otherwise.
    :raises InvalidPipelineEvent: when the API server would refuse one.
    """

    events: Mapping[str, PipelineEvent]
    event_names: Output[Mapping[str, str]]
    event_namespaces: Output[Mapping[str, str]]
    event_uids: Output[Mapping[str, str]]

    def __init__(
        self,
        name: str,
        events: Mapping[str, PipelineEventArgs],
        shared: PipelineEventArgs | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipetrail:index:PipelineEvents", name, {}, opts)
        found = {}
        for key, own in events.items():
            arguments: dict[str, Any] = {**(shared or {}), **own}
            _check_arguments(f"{name}-{key}", arguments)
            found[key] = PipelineEvent(f"{name}-{key}", **arguments, opts=ResourceOptions(parent=self))
        self.events = found
        self.event_names = Output.all(**{key: event.event_name for key, event in found.items()})
        self.event_namespaces = Output.all(**{key: event.event_namespace for key, event in found.items()})
        self.event_uids = Output.all(**{key: event.event_uid for key, event in found.items()})
        self.register_outputs(
            {
                "event_names": self.event_names,
                "event_namespaces": self.event_namespaces,
                "event_uids": self.event_uids,
            }
        )


async def _urn(component: Resource) -> str:
    """The URN as a value alone: as an output it would make the component's own child wait for the component."""
    return await component.urn.future() or ""


def fact_id(urn: str, draft: Draft, triggers: Any) -> str:
    """The id of a fact: equal for the same resource with the same content and triggers, and for nothing else."""
    about = draft.about
    content = [
        urn,
        [about.api_version, about.kind, about.namespace, about.name, about.field_path],
        [draft.home, draft.reason, draft.message, draft.type, draft.action, draft.reporter, draft.run, draft.step],
        [sorted(draft.labels.items()), sorted(draft.annotations.items())],
        triggers,
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    unknown = sorted(arguments.keys() - PipelineEventArgs.__annotations__.keys())
    missing = [argument for argument in ("about", "reason", "message") if arguments.get(argument) is None]
    for argument in missing:
        raise InvalidPipelineEvent(f"{name}: {argument}: it is missing")
    for argument in unknown:
        raise InvalidPipelineEvent(
            f"{name}: {argument}: no such argument; there are {', '.join(PipelineEventArgs.__annotations__)}"
        )


def _text(most: int, **how: bool) -> Callable[[str, Any], str]:
    return lambda argument, value: checks.text(argument, value, most, **how)


def _namespace(argument: str, value: Any) -> str:
    return checks.label(argument, value) if value != "" else ""


def _checked(name: str, argument: str, value: Any, check: Callable[[str, Any], Any]) -> Any:
    """The value, checked now if it is known, else when it is."""

    def checked(found: Any) -> Any:
        try:
            return check(argument, found)
        except InvalidEvent as error:
            raise InvalidPipelineEvent(f"{name}: {error}") from None

    if isinstance(value, Output) or hasattr(value, "__await__"):
        return Output.from_input(value).apply(checked)
    return checked(value)


def _object(name: str, about: About, namespace: Input[str] | None) -> Output[Object]:
    """The object that is meant, without its uid, which a preview can't know."""

    def meant(found: list[Any]) -> Object:
        what, where = found
        try:
            if isinstance(what, Mapping):
                what = {key: value for key, value in what.items() if key != "uid"}
            return Object.meant(what, where or "")
        except InvalidEvent as error:
            raise InvalidPipelineEvent(f"{name}: {error}") from None

    if isinstance(about, Resource):
        if not all(hasattr(about, field) for field in ("api_version", "kind", "metadata")):
            raise InvalidPipelineEvent(f"{name}: about: {type(about).__name__} is no resource of Kubernetes")
        found: Any = about
        reference = Output.all(found.api_version, found.kind, found.metadata).apply(_reference)
        return Output.all(reference, "").apply(meant)
    if not isinstance(about, Output) and (namespace is None or isinstance(namespace, str)):
        plain = about if isinstance(about, str) or not _has_outputs(about) else None
        if plain is not None:
            meant([plain, namespace])  # a mistake is told where it was made
    return Output.all(about, namespace).apply(meant)


def _has_outputs(about: Any) -> bool:
    return isinstance(about, Mapping) and any(isinstance(value, Output) for value in about.values())


def _reference(found: list[Any]) -> dict[str, Any]:
    api_version, kind, metadata = found
    # A plain mapping in some resources and a class of its own, which is a mapping too, in others.
    named = {key: (metadata or {}).get(key) for key in ("name", "namespace")}
    return {"apiVersion": api_version, "kind": kind, **named}


def _uid(name: str, about: About) -> Output[str | None] | None:
    """The uid of the object, where the program knows it."""
    if isinstance(about, Resource):
        return about.metadata.apply(lambda found: (found or {}).get("uid"))  # type: ignore[attr-defined,no-any-return]
    found: Any = None
    if isinstance(about, Mapping):
        found = about.get("uid")
    elif isinstance(about, Output):
        found = about.apply(lambda known: known.get("uid") if isinstance(known, Mapping) else None)
    if found is None:
        return None
    check = _text(checks.NAME, required=False)
    return Output.from_input(_checked(name, "about.uid", found, lambda place, uid: uid and check(place, uid)))


def _draft(name: str, instance: str, found: Mapping[str, Any]) -> Draft:
    draft = Draft(instance=instance, **{**found, "about": Object(*found["about"])})
    try:
        check_home(draft.namespace, draft.about)
        draft.check()
    except InvalidEvent as error:
        raise InvalidPipelineEvent(f"{name}: {error}") from None
    return draft


def _name(name: str, fact: str) -> str:
    """The name of the Event: another one for another fact, so that it is never an update."""
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:200].strip("-") or "event"
    return f"{safe}-{fact[:10]}"


def _body(api: Api, draft: Draft, fact: str, name: str) -> dict[str, Any]:
    body = manifest(draft, api, name=name, at=time.time_ns() // 1000)
    annotations = body["metadata"].get("annotations", {})
    body["metadata"]["annotations"] = {**annotations, EVENT_ID: fact}
    return body


def _event(
    name: str, api: Api, body: Output[dict[str, Any]], uid: Output[str | None] | None, *, fixed: bool, parent: Resource
) -> Any:
    def part(key: str) -> Any:
        return body.apply(lambda found: found[key])

    def reference(key: str) -> Any:
        if uid is None:
            return part(key)
        return Output.all(part(key), uid).apply(lambda found: {**found[0], **({"uid": found[1]} if found[1] else {})})

    about = "involvedObject" if api == CORE else "regarding"
    opts = ResourceOptions(
        parent=parent,
        # When it happened is settled when it is made, and by which life of the object does not make it another fact.
        ignore_changes=["eventTime", f"{about}.uid"] if uid is not None else ["eventTime"],
        # The cluster forgets Events: there may be nothing left to update.
        replace_on_changes=["*"],
        delete_before_replace=fixed,
    )
    shared = {"metadata": part("metadata"), "event_time": part("eventTime")}
    said = {key: part(key) for key in ("type", "reason", "action")}
    if api == CORE:
        return kubernetes.core.v1.Event(
            name,
            **shared,
            **said,
            involved_object=reference(about),
            message=part("message"),
            reporting_component=part("reportingComponent"),
            reporting_instance=part("reportingInstance"),
            source=part("source"),
            opts=opts,
        )
    return kubernetes.events.v1.Event(
        name,
        **shared,
        **said,
        regarding=reference(about),
        note=part("note"),
        reporting_controller=part("reportingController"),
        reporting_instance=part("reportingInstance"),
        opts=opts,
    )


# ---- A namespace that is not there: said at preview, where the cluster can be asked


def _can_ask(component: Resource, opts: ResourceOptions | None) -> bool:
    """Whether the default provider will be used, which takes the cluster from the kubeconfig as we can, at preview."""
    own = opts is not None and (opts.provider is not None or opts.providers)
    inherited = bool(component._providers)
    configured = pulumi.Config("kubernetes").get("kubeconfig") is not None
    mocked = type(pulumi.runtime.settings.get_monitor()).__name__ == "MockMonitor"
    return pulumi.runtime.is_dry_run() and not (own or inherited or configured or mocked)


def _home_is_there(component: Resource, draft: Output[Draft]) -> Output[None]:
    async def ask(namespace: str) -> None:
        context = pulumi.Config("kubernetes").get("context")
        if await asyncio.get_running_loop().run_in_executor(None, _is_missing, namespace, context):
            pulumi.log.warn(
                f"namespace {namespace} does not exist in the cluster now: unless this program makes it, `up` will"
                " retry for about 66 s and fail",
                component,
            )

    return draft.apply(lambda found: ask(found.home))


@lru_cache(64)
def _is_missing(namespace: str, context: str | None) -> bool:
    """Whether the cluster says that there is no such namespace; False where it can't be asked."""
    from pipetrail.emitting.answers import Refused, Unanswered
    from pipetrail.emitting.place import NowhereError, kubeconfig_server
    from pipetrail.emitting.posting import Poster

    try:
        poster = Poster(kubeconfig_server(None, context), timeout=5.0)
        try:
            poster.read(f"/api/v1/namespaces/{namespace}")
        finally:
            poster.close()
    except Refused as error:
        return error.status == 404
    except (Unanswered, NowhereError, OSError):
        return False
    return False
