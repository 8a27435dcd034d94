"""What a class promises to those who derive from it or use it, read from its source without importing it.

For libraries that can't be installed here (they need torch, gigabytes): what they promised at a version is kept in
interfaces.json, compared with the package in the release tests. Written anew by ``python -m tests.hooks.interfaces``.
"""

import ast
import hashlib
import json
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.hooks.environments import download

KEPT = Path(__file__).with_name("interfaces.json")


@dataclass(frozen=True)
class Interface:
    """A base class of callbacks, and the objects that its methods are handed.

    :ivar file: in the wheel, that has the class.
    :ivar methods: of the class, with their parameters as they are written: ``self``, ``batch``, ``**kwargs``.
    :ivar objects: what a parameter is: a file, a class there, and those of its attributes that a hook may use.
    """

    package: str
    version: str
    sha256: str
    file: str
    name: str
    methods: dict[str, list[str]] = field(default_factory=dict)
    objects: dict[str, tuple[str, str, list[str]]] = field(default_factory=dict)


def kept() -> dict[str, Interface]:
    """The interfaces in interfaces.json, by package."""
    return {
        package: Interface(**{**found, "objects": {key: tuple(value) for key, value in found["objects"].items()}})
        for package, found in json.loads(KEPT.read_text()).items()
    }


def read(before: Interface, wheel: Path) -> Interface:
    """The same interface, as a wheel has it: its methods, and those of the known attributes that are there."""
    with zipfile.ZipFile(wheel) as archive:

        def defined(file: str, name: str) -> ast.ClassDef:
            return class_in(archive.read(file).decode(), name)

        return Interface(
            package=before.package,
            version=before.version,
            sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            file=before.file,
            name=before.name,
            methods=methods(defined(before.file, before.name)),
            objects={
                parameter: (file, name, [one for one in wanted if one in attributes(defined(file, name))])
                for parameter, (file, name, wanted) in before.objects.items()
            },
        )


def class_in(source: str, name: str) -> ast.ClassDef:
    """The definition of a class in a module's source."""
    return next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)


def methods(defined: ast.ClassDef) -> dict[str, list[str]]:
    """The public methods of a class, with their parameters; properties are none."""
    return {
        node.name: _parameters(node.args)
        for node in defined.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not node.decorator_list
    }


def attributes(defined: ast.ClassDef) -> set[str]:
    """The attributes of a class's objects: properties, annotated fields, and what methods set on ``self``."""
    found = set()
    for node in ast.walk(defined):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is(node.value, "self"):
            found.add(node.attr)
    return found


def used(defined: ast.ClassDef, parameter: str) -> set[str]:
    """The attributes of a parameter that a class's methods use."""
    return {node.attr for node in ast.walk(defined) if isinstance(node, ast.Attribute) and _is(node.value, parameter)}


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _parameters(found: ast.arguments) -> list[str]:
    names = [argument.arg for argument in (*found.posonlyargs, *found.args)]
    names += [f"*{found.vararg.arg}"] if found.vararg else []
    names += [f"{argument.arg}=" for argument in found.kwonlyargs]
    return names + ([f"**{found.kwarg.arg}"] if found.kwarg else [])


def main(versions: dict[str, str]) -> None:
    """Write interfaces.json anew, for the versions that are named."""
    found = {}
    for package, before in kept().items():
        with tempfile.TemporaryDirectory() as folder:
            version = versions.get(package, before.version)
            now = Interface(**{**asdict(before), "version": version})
            found[package] = asdict(read(now, download(package, version, Path(folder))))
    KEPT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(dict(argument.split("==") for argument in sys.argv[1:]))
