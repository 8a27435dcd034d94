"""deploy/rbac.yaml grants reading of what is recorded, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.kube.kinds import CORE, RUN_KINDS

RBAC = Path(__file__).parents[2] / "deploy" / "rbac.yaml"
CLUSTER_WIDE = {("kueue.x-k8s.io", "ClusterQueue"), ("scheduling.volcano.sh", "Queue"), ("scheduling.run.ai", "Queue")}


def roles() -> dict[str, list[dict[str, Any]]]:
    """The rules of each kind of role in the manifest."""
    found: dict[str, list[dict[str, Any]]] = {}
    for document in yaml.safe_load_all(RBAC.read_text(encoding="utf-8")):
        if document and document["kind"] in ("ClusterRole", "Role"):
            found.setdefault(document["kind"], []).extend(document["rules"])
    return found


def grants(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_the_roles_only_read_and_name_each_kind(kind: str) -> None:
    """T-87: no wildcard, no Secrets, only reading, nothing of other kinds of rules."""
    rules = roles()[kind]

    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in rules)
    for group, resource, verb in grants(rules):
        assert "*" not in group + resource + verb
        assert resource.partition("/")[0] not in ("secrets", "configmaps")
        assert verb in ("get", "list", "watch")


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_the_roles_hold_every_kind_that_is_recorded(kind: str) -> None:
    """T-87: each kind of the table can be listed and watched with these roles; the Role has all that are namespaced."""
    granted = grants(roles()[kind])
    missing = [
        (resource.key, verb)
        for resource in CORE
        for verb in ("list", "watch")
        if (resource.namespaced or kind == "ClusterRole") and (resource.group, resource.plural, verb) not in granted
    ]
    missing += [
        (f"{name}.{group}", verb)
        for group, names in RUN_KINDS.items()
        for name in names
        for verb in ("list", "watch")
        if not any((group, plural, verb) in granted for plural in plurals(group, name))
        and not (kind == "Role" and (group, name) in CLUSTER_WIDE)
    ]

    assert missing == []


def plurals(group: str, kind: str) -> set[str]:
    """The forms that the plural of a kind can have."""
    lower = kind.lower()
    return {lower + "s", lower + "es", lower[:-1] + "ies", lower}


def test_the_roles_hold_nothing_that_is_not_recorded() -> None:
    """T-87: least rights: the manifest has no kind that the table has not."""
    known: set[tuple[str, str]] = {(resource.group, resource.plural) for resource in CORE}
    for group, names in RUN_KINDS.items():
        known |= {(group, plural) for name in names for plural in plurals(group, name)}

    for rules in roles().values():
        assert {(group, resource) for group, resource, _ in grants(rules)} <= known
