"""What is wrong or right with an Event, for the tests that ask our checks and those that ask a real API server."""

from __future__ import annotations

from typing import Any

from pipetrail.emitting import Draft, Object

POD = Object(kind="Pod", name="trainer-0", namespace="team", api_version="v1")
NODE = Object(kind="Node", name="node-1", api_version="v1")
AT = 1_795_000_000_123_456


def draft(about: Object = POD, **fields: Any) -> Draft:
    all_fields: dict[str, Any] = {"about": about, "reason": "DataArrived", "reporter": "example.com/sdk"}
    return Draft(**all_fields | {"instance": "i"} | fields)


def pod(**fields: Any) -> dict[str, Any]:
    return {"about": Object(**{"kind": "Pod", "name": "p", "namespace": "team", "api_version": "v1"} | fields)}


# What is wrong → the argument that is named, and a piece of what is said.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a reason of 129 bytes": ({"reason": "r" * 129}, "reason", "129 bytes, and the API server takes 128 at most"),
    "a reason of 65 two-byte letters": ({"reason": "é" * 65}, "reason", "130 bytes"),
    "no reason": ({"reason": ""}, "reason", "it is empty"),
    "a blank reason": ({"reason": " \u2003"}, "reason", "it is empty"),
    "a reason that is None": ({"reason": None}, "reason", "None is no text but a NoneType"),
    "a reason in bytes": ({"reason": b"R"}, "reason", "b'R' is no text but a bytes"),
    "a reason that is a number": ({"reason": 5}, "reason", "5 is no text but an int"),
    "a line break in the reason": ({"reason": "a\nb"}, "reason", "U+000A; leave it out"),
    "a message of 1025 bytes": ({"message": "m" * 1025}, "message", "1025 bytes, and the API server takes 1024"),
    "a message of 513 two-byte letters": ({"message": "é" * 513}, "message", "1026 bytes"),
    "a message of 257 emoji": ({"message": "🔥" * 257}, "message", "1028 bytes"),
    "a NUL in the message": ({"message": "a\0b"}, "message", "U+0000"),
    "an escape sequence in the message": ({"message": "\x1b[31mred"}, "message", "U+001B"),
    "a control character above ASCII": ({"message": "a\x85b"}, "message", "U+0085"),
    "half a surrogate pair": ({"message": "ab\ud800"}, "message", "character 3 is half a surrogate pair"),
    "an unknown type": ({"type": "Bogus"}, "type", "'Bogus' is none of Normal, Warning"),
    "a type in small letters": ({"type": "warning"}, "type", "none of Normal, Warning"),
    "no type": ({"type": ""}, "type", "none of Normal, Warning"),
    "a type that is None": ({"type": None}, "type", "None is none of"),
    "an action of 129 bytes": ({"action": "a" * 129}, "action", "129 bytes"),
    "a blank action": ({"action": " "}, "action", "it is empty"),
    "a reporter with a space": ({"reporter": "ml pipeline"}, "reporter", "no qualified name"),
    "a reporter with two slashes": ({"reporter": "a/b/c"}, "reporter", "'a/b', before the /, is no DNS name"),
    "a reporter with an empty prefix": ({"reporter": "/c"}, "reporter", "'', before the /, is no DNS name"),
    "a reporter with nothing after the slash": ({"reporter": "a.b/"}, "reporter", "'' is no qualified name"),
    "a reporter of 64 bytes": ({"reporter": "a" * 64}, "reporter", "64 bytes after the prefix"),
    "a reporter with a prefix of 254 bytes": ({"reporter": "a" * 254 + "/b"}, "reporter", "is no DNS name"),
    "a reporter with an upper-case prefix": ({"reporter": "Example.com/b"}, "reporter", "is no DNS name"),
    "a reporter in other letters": ({"reporter": "schöner"}, "reporter", "no qualified name"),
    "no reporter": ({"reporter": ""}, "reporter", "it is empty"),
    "no instance": ({"instance": ""}, "instance", "it is empty"),
    "an instance of 129 bytes": ({"instance": "i" * 129}, "instance", "129 bytes"),
    "a namespace in upper case": ({"namespace": "Team"}, "namespace", "no DNS label: small letters"),
    "a namespace with a dot": ({"namespace": "a.b"}, "namespace", "no DNS label"),
    "a namespace of 64 bytes": ({"namespace": "n" * 64}, "namespace", "64 bytes, and the API server takes 63"),
    "another namespace than the object's": ({"namespace": "default"}, "namespace", "not that of the object, team"),
    "a pod in no namespace": (pod(namespace=""), "about.namespace", "the Pod is in a namespace; name it"),
    "a namespace with a line break": (pod(namespace="team\n"), "about.namespace", "U+000A"),
    "a node in a namespace": (
        {"about": Object(kind="Node", name="n", namespace="team")},
        "about.namespace",
        "a Node is in no namespace; leave it out",
    ),
    "an Event about a node in a namespace": ({"about": NODE, "namespace": "team"}, "namespace", "default or kube-"),
    "no name": (pod(name=""), "about.name", "it is empty"),
    "a name with an underscore": (pod(name="a_b"), "about.name", "no DNS name: small letters, digits, - and . inside"),
    "a name in upper case": (pod(name="Upper"), "about.name", "no DNS name"),
    "a name with two dots": (pod(name="a..b"), "about.name", "no DNS name"),
    "a name of 254 bytes": (pod(name="a" * 254), "about.name", "254 bytes"),
    "a name that is a number": (pod(name=7), "about.name", "no text but an int"),
    "a name of other digits": (pod(name="pod-٣"), "about.name", "no DNS name"),
    "a role with a slash": (pod(kind="Role", name="a/b"), "about.name", "can't be a name"),
    "no kind": (pod(kind=""), "about.kind", "it is empty"),
    "a kind with a slash": (pod(kind="a/B"), "about.kind", "no kind: letters and digits, such as Pod"),
    "an API version without a v": (pod(api_version="batch"), "about.apiVersion", "no API version: v1, or as batch/v1"),
    "a uid of 254 bytes": (pod(uid="u" * 254), "about.uid", "254 bytes"),
    "a field path that is a list": (pod(field_path=[1]), "about.fieldPath", "no text but a list"),
    "a run of 1025 bytes": ({"run": "r" * 1025}, "run", "1025 bytes"),
    "a step with a line break": ({"step": "a\nb"}, "step", "U+000A"),
    "labels that are a list": ({"labels": ["a"]}, "labels", "no mapping of names to texts"),
    "a label with a blank": ({"labels": {"a": "b c"}}, "labels['a']", "can't be the value of a label"),
    "a label of 64 bytes": ({"labels": {"a": "b" * 64}}, "labels['a']", "63 bytes at most"),
    "a label named with a blank": ({"labels": {"a b": "c"}}, "labels['a b']", "no qualified name"),
    "a label named by a number": ({"labels": {1: "c"}}, "labels[1]", "no text but an int"),
    "an annotation that is a number": ({"annotations": {"a": 1}}, "annotations['a']", "no text but an int"),
}  # fmt: skip

RIGHT: dict[str, dict[str, Any]] = {
    "the longest reason": {"reason": "r" * 128},
    "64 two-byte letters": {"reason": "é" * 64},
    "the longest message": {"message": "m" * 1024},
    "512 two-byte letters": {"message": "é" * 512},
    "256 emoji": {"message": "🔥" * 256},
    "no message": {"message": ""},
    "lines in a message": {"message": "a\n\tb\r\n"},
    "the longest action": {"action": "a" * 128},
    "a reporter without a prefix": {"reporter": "A_b.c-D"},
    "the longest reporter": {"reporter": "p" * 253 + "/" + "n" * 63},
    "the longest instance": {"instance": "é" * 64},
    "the same namespace twice": {"namespace": "team"},
    "a node": {"about": NODE},
    "a node in kube-system": {"about": NODE, "namespace": "kube-system"},
    "the longest name": pod(name="a" * 253),
    "a role of the system": {"about": Object(kind="ClusterRole", name="system:node")},
    "a kind of one's own": pod(kind="Foo2", api_version="my-group.example/v1beta1", uid="x y", field_path="spec.{a}"),
    "an empty label": {"labels": {"example.com/a": ""}},
    "the longest label": {"labels": {"a": "b" * 63}},
    "a run that fits no label": {"run": "a b/c", "step": "ü"},
}
