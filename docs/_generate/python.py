"""``python.md``: the names that Python programs may use, with their signatures and docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import pipetrail
import pipetrail.pulumi
from docs._generate.markdown import block, code, page, sentence

SOURCE = "src/pipetrail/emitting and src/pipetrail/pulumi.py"

_INTRO = """What a program may import. Names that are not here are no API. How to use them:
[Emit from code](../how-to/emit-from-code.md), [Declare with Pulumi](../how-to/declare-with-pulumi.md). What the events
then carry: [marks](marks.md)."""

_SDK = """## pipetrail

Standard library only, imported when it is first used."""

_PULUMI = """## pipetrail.pulumi

With the extra `pipetrail[pulumi]`."""

_FIELD = re.compile(r"^:(param|ivar|returns|raises)\s*([^:]*):\s*", re.MULTILINE)
_TITLES = {"returns": "Returns:", "raises": "Raises"}


def write() -> str:
    """The page."""
    parts = []
    for head, module in ((_SDK, pipetrail), (_PULUMI, pipetrail.pulumi)):
        parts += [head, *(_entry(name, getattr(module, name)) for name in names(module))]
    return page("Python", SOURCE, _INTRO, *parts)


def names(module: Any) -> list[str]:
    """The public names of a module that are functions or classes."""
    return [name for name in module.__all__ if not name.startswith("_")]


def _entry(name: str, found: Any) -> str:
    node = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    known = vars(inspect.getmodule(found))
    parts = [f"### {name}"]
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        if made is not None and _is_for_users(node):
            parts.append(block(_call(f"class {name}", made, known), "python"))
        parts.append(_prose(ast.get_docstring(node)))
        fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]
        if fields:
            parts.append("Fields:\n\n" + "\n".join(f"* {code(field)}" for field in fields))
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                parts += [block(_call(f"{name}.{one.name}", one, known), "python"), _prose(ast.get_docstring(one))]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        prefix = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
        parts += [block(_call(prefix + name, node, known), "python"), _prose(ast.get_docstring(node))]
    else:
        raise LookupError(f"docs/_generate/python.py: {name} is no function and no class")
    return "\n\n".join(parts)


def _is_for_users(node: ast.ClassDef) -> bool:
    """Whether programs make it themselves; errors are caught only."""
    return not any("Error" in ast.unparse(base) for base in node.bases)


def _call(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, known: Mapping[str, Any]) -> str:
    """How it is called, as it stands in the source; of a constant, the value that it has in the module."""
    given = node.args
    plain = [argument for argument in given.args if argument.arg != "self"]
    absent: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
    defaults = [*absent, *given.defaults]
    arguments = [_argument(one, default, known) for one, default in zip(plain, defaults, strict=True)]
    if given.kwonlyargs:
        pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
        arguments += ["*", *(_argument(one, default, known) for one, default in pairs)]
    returned = ast.unparse(node.returns) if node.returns else "None"
    end = ")" if returned == "None" else f") -> {returned}"
    line = f"{name}({', '.join(arguments)}{end}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + end


def _argument(argument: ast.arg, default: ast.expr | None, known: Mapping[str, Any]) -> str:
    told = argument.arg if argument.annotation is None else f"{argument.arg}: {ast.unparse(argument.annotation)}"
    if default is None:
        return told
    value = repr(known[default.id]) if isinstance(default, ast.Name) else ast.unparse(default)
    return f"{told} = {value}"


def _prose(text: str | None) -> str:
    """A docstring as Markdown: paragraphs, then a list of what it says of arguments."""
    if not text:
        raise LookupError("docs/_generate/python.py: a public name has no docstring")
    description, *rest = _FIELD.split(text)
    parts = [sentence(paragraph) for paragraph in description.strip().split("\n\n") if paragraph]
    items = []
    for kind, name, meaning in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        title = _TITLES.get(kind, "")
        named = f"{code(name.strip())}:" if name.strip() else ""
        items.append("* " + " ".join(part for part in (title, named, sentence(meaning)) if part))
    return "\n\n".join([*parts, *(["\n".join(items)] if items else [])])
