"""Which resources a cluster serves, of those that are recorded."""

import msgspec

from pipetrail.kube import errors
from pipetrail.kube.http import Api
from pipetrail.kube.kinds import CORE, RUN_KINDS, Resource
from pipetrail.kube.wire import Wire


class _Version(Wire):
    version: str = ""


class _Group(Wire):
    name: str = ""
    versions: list[_Version] = msgspec.field(default_factory=list)
    preferred_version: _Version = msgspec.field(default_factory=_Version)


class _Groups(Wire):
    groups: list[_Group] = msgspec.field(default_factory=list)


class _Served(Wire):
    name: str = ""
    kind: str = ""
    namespaced: bool = False
    verbs: list[str] = msgspec.field(default_factory=list)


class _Resources(Wire):
    resources: list[_Served] = msgspec.field(default_factory=list)


async def discover(api: Api) -> tuple[list[Resource], list[str]]:
    """The recorded resources that this cluster serves now, and what of it could not be asked.

    One request for the groups and one for each wanted version that exists. The core kinds are taken as served: every
    cluster has them. A run kind is read in the preferred version of its group, else in the first that has it.

    :raises ApiError: when the groups can't be listed at all.
    """
    found = await api.read("/apis", _Groups)
    served: list[Resource] = list(CORE)
    unclear: list[str] = []
    for group in found.groups:
        wanted = set(RUN_KINDS.get(group.name, ()))
        versions = [group.preferred_version.version, *(entry.version for entry in group.versions)]
        for version in dict.fromkeys(filter(None, versions)):
            if not wanted:
                break
            try:
                answer = await api.read(f"/apis/{group.name}/{version}", _Resources)
            except errors.Absent:
                continue  # gone between the two requests
            except errors.ApiError as error:
                unclear.append(f"{group.name}/{version}: {error}")
                continue
            for entry in answer.resources:
                if entry.kind in wanted and "/" not in entry.name and {"list", "watch"} <= set(entry.verbs):
                    wanted.discard(entry.kind)
                    served.append(
                        Resource(
                            group=group.name,
                            version=version,
                            plural=entry.name,
                            kind=entry.kind,
                            namespaced=entry.namespaced,
                        )
                    )
    return served, unclear


class _Uid(Wire):
    uid: str = ""


class _Named(Wire):
    metadata: _Uid = msgspec.field(default_factory=_Uid)


async def cluster_uid(api: Api) -> str | None:
    """The uid of namespace kube-system, which lives as long as the cluster, or None where it may not be read.

    :raises ApiError: when the server can't be reached or the login is refused.
    """
    try:
        answer = await api.read("/api/v1/namespaces/kube-system", _Named)
    except (errors.Forbidden, errors.Absent):
        return None
    return answer.metadata.uid or None
