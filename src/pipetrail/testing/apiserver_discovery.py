"""The discovery documents of the scripted API server, in the old form that every server version can still give."""

from collections.abc import Iterable

from pipetrail.testing.apiserver_store import Resource, by_preference
from pipetrail.testing.apiserver_wire import Object

VERSION: Object = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.26.8",
    "compiler": "gc",
    "platform": "linux/amd64",
}

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def discovery(path: str, resources: Iterable[Resource]) -> Object | None:
    """Give the document at ``/api``, ``/apis``, ``/api/v1``, ``/apis/G`` or ``/apis/G/V``; None where nothing is."""
    kinds = list(resources)
    match path.strip("/").split("/"):
        case ["api"]:
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}
        case ["apis"]:
            groups = dict.fromkeys(kind.group for kind in kinds if kind.group)
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, kinds) for name in groups]}
        case ["api", version]:
            return _resource_list("", version, kinds)
        case ["apis", group]:
            exists = any(kind.group == group for kind in kinds) and group
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, kinds) if exists else None
        case ["apis", group, version] if group:
            return _resource_list(group, version, kinds)
    return None


def _group(name: str, kinds: list[Resource]) -> Object:
    versions = by_preference(version for kind in kinds if kind.group == name for version in kind.versions)
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(group: str, version: str, kinds: list[Resource]) -> Object | None:
    served = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not served:
        return None
    resources: list[Object] = []
    if not group:
        # The real list opens with a resource that can only be created: a reader must look at the verbs.
        resources.append({"name": "bindings", "singularName": "binding", "namespaced": True, "kind": "Binding"})
        resources[0]["verbs"] = ["create"]
    for kind in served:
        head = {"singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind}
        resources.append({"name": kind.plural} | head | {"verbs": _VERBS})
        if kind.plural not in ("events", "customresourcedefinitions"):
            status = {"name": f"{kind.plural}/status"} | head | {"singularName": ""}
            resources.append(status | {"verbs": ["get", "patch", "update"]})
    group_version = f"{group}/{version}" if group else version
    head = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
    return head | {"groupVersion": group_version, "resources": resources}
