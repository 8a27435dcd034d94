"""Templates of users: Jinja2, shut in so that none can reach the system, run for ever or fill the memory.

Rendering happens in the process that serves all sinks, and nothing can interrupt a single operation of Python. So all
that a template can reach is what costs little or says beforehand what it costs: attributes are the keys of the data and
a list of harmless methods, filters are a list too; what makes text or lists (``*``, ``+``, ``~``, literals, slices,
joins, captured blocks) pays for it from a budget before it is made, lists with all that is in them; and each turn of a
loop, each call, filter and test looks at the processor time. The time is that of this thread: a busy machine makes no
template fail.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import jinja2
import msgspec
from jinja2 import filters, nodes
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from pipetrail.model.times import parse_time, to_datetime

SECONDS = 1.0
"""How much processor time one rendering may take."""

MADE = 32 << 20
"""How many characters of text and entries of lists one rendering may make in all, what it puts out among them."""

SOURCE = 64 << 10
"""How many characters a template may have."""

_BITS = 4096
_FORMAT = re.compile(r"(?:[^%]|%[YmdHMSfjaAbBzZyIp%]){1,100}")

_METHODS: dict[type, frozenset[str]] = {
    dict: frozenset({"get", "items", "keys", "values"}),
    str: frozenset(
        {
            "capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "removeprefix", "removesuffix",
            "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
        }
    ),
    LoopContext: frozenset(
        {"first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"}
    ),
}  # fmt: skip

FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "join",
    "json", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
    "round", "select", "selectattr", "sort", "string", "sum", "time", "title", "tojson", "trim", "truncate", "unique",
    "upper", "urlencode",
)  # fmt: skip
"""The filters that there are: Jinja's, where ours do not stand for them."""

_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)

# Names that no template can write, since they have a space in them.
_COUNTED, _CONCATENATED, _SLICED, _BUILT = " counted", " concatenated", " sliced", " built"


class TemplateError(Exception):
    """A template could not be rendered with this data; the text says where and why."""


class _Exceeded(Exception):
    """A template wants more than it may have."""


def compiled(text: str) -> Callable[[Mapping[str, Any]], str]:
    """A template, ready to be rendered with data of plain types (mappings, lists, text, numbers).

    What is returned raises :class:`TemplateError`. It is used by one thread at a time.

    :raises ValueError: when it is no template: ``line 3: what``.
    """
    if len(text) > SOURCE:
        raise ValueError(f"a template of {len(text)} characters; the most is {SOURCE}")
    environment = _Environment()
    try:
        tree = environment.parse(text)
        for node in tree.find_all(_REFUSED):
            raise ValueError(f"line {node.lineno}: {type(node).__name__.lower()} can't be used: a template is one text")
        for loop in tree.find_all(nodes.For):
            if loop.recursive:
                raise ValueError(f"line {loop.lineno}: a recursive loop can't be used")
        code = environment.compile(_Priced().visit(tree))
        template = jinja2.Template.from_code(environment, code, environment.make_globals(None))
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from None
    except (_Exceeded, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"it can't be read: {error or type(error).__name__}") from None

    def render(data: Mapping[str, Any]) -> str:
        environment.begin()
        try:
            return template.render(data)
        except Exception as error:  # whatever a template does, the sink goes on
            raise TemplateError(_told(error)) from None

    return render


class _Environment(ImmutableSandboxedEnvironment):
    """What a template can reach, and what it costs."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            finalize=self._text,
            optimized=False,
            keep_trailing_newline=False,
        )
        self.begin()
        self.concat = self._concatenated  # type: ignore[method-assign]
        self.globals = {"range": _range, "namespace": Namespace}
        own: dict[str, Callable[..., Any]] = {"join": self._join, "json": self._json, "replace": self._replace}
        own |= {"round": _round, "string": self._text, "sum": _sum, "time": _time, "tojson": self._json, "trim": _trim}
        own = {name: own.get(name) or filters.FILTERS[name] for name in FILTERS}
        self.filters = {name: self._paid(made) for name, made in own.items()}
        self.filters |= {
            _COUNTED: self._counted,
            _CONCATENATED: self._concatenation,
            _SLICED: self._slice,
            _BUILT: self._built,
        }
        self.tests = {name: self._paid(cast("Callable[..., Any]", made)) for name, made in self.tests.items()}

    def begin(self) -> None:
        """Start a rendering, with a new budget."""
        self._left = MADE
        self._until = time.thread_time() + SECONDS

    # --- What there is

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict | list | tuple | str):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        if isinstance(argument, str):
            for kind, methods in _METHODS.items():
                if isinstance(obj, kind) and argument in methods:
                    return getattr(obj, argument)
            if isinstance(obj, Namespace | tuple) and not argument.startswith("_"):
                known = getattr(obj, "_fields", ()) if isinstance(obj, tuple) else (argument,)
                if argument in known:
                    return getattr(obj, argument, None)
        return self.undefined(obj=obj, name=argument)

    # --- What it costs

    def step(self) -> None:
        """One step more. :raises _Exceeded: when the time is up."""
        if time.thread_time() > self._until:
            raise _Exceeded(f"it takes longer than {SECONDS:g} s")

    def pay(self, amount: int) -> None:
        """Pay for so many characters or entries. :raises _Exceeded: when there is not enough left."""
        self._left -= amount
        if self._left < 0:
            raise _Exceeded(f"it makes more than {MADE >> 20} Mi characters")

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        __self.step()
        if isinstance(__obj, Macro):
            # What stands between call and endcall is passed on as a macro.
            __self.weigh([value for value in (*args, *kwargs.values()) if not isinstance(value, Macro)])
        elif isinstance(text := getattr(__obj, "__self__", None), str):
            # Some methods compare each character with each of the argument.
            __self.pay(len(text) * sum(map(_size, args)) >> 6)
        found = super().call(__context, __obj, *args, **kwargs)
        __self.pay(_size(found))
        return found

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self.step()
        match operator:
            case "%" if isinstance(left, str):
                raise _Exceeded("% does not work with text; write a ~ b")
            case "**":
                if not (_small(left, 64) and _small(right, 7)):
                    raise _Exceeded("** with numbers as big as these")
            case "*":
                self._multiply(left, right)
            case "+":
                self.weigh([left, right])
        return super().call_binop(context, operator, left, right)

    def _multiply(self, left: Any, right: Any) -> None:
        if isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > _BITS:
                raise _Exceeded("a number that is too big")
            return
        for many, times in ((left, right), (right, left)):
            if isinstance(times, int) and times > 0:
                before = self._left
                self.weigh(many)
                self.pay((before - self._left) * (times - 1))

    def _paid(self, made: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that pays for what it is given and for what it makes."""

        def paid(*args: Any, **kwargs: Any) -> Any:
            self.step()
            if any(isinstance(value, Namespace) for value in args):
                raise _Exceeded("a namespace is nothing to work on; name what is in it")
            self.pay(sum(map(_size, args)))
            found = made(*args, **kwargs)
            self.pay(_size(found))
            return found

        if hasattr(made, "jinja_pass_arg"):
            paid.jinja_pass_arg = made.jinja_pass_arg  # type: ignore[attr-defined]
        return paid

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item

    def weigh(self, value: Any) -> None:
        """Pay for all that is in a value: what is in it once may be told a million times."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                self.pay(len(one) + 2)
            elif isinstance(one, dict):
                self.step()
                self.pay(4 * len(one) + 2)
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple):
                self.step()
                self.pay(2 * len(one) + 2)
                waiting += one
            elif isinstance(one, int):
                self.pay(one.bit_length() // 3 + 2)
            elif isinstance(one, float | None):
                self.pay(24)
            elif isinstance(one, jinja2.Undefined):
                str(one)  # raises, with what is missing
            else:
                raise _Exceeded(f"{type(one).__name__} has no text")

    def _text(self, value: Any) -> str:
        self.step()
        self.weigh(value)
        return str(value)

    def _built(self, value: Any) -> Any:
        self.weigh(value)
        return value

    def _json(self, value: Any) -> str:
        found = list(value) if isinstance(value, Iterator | range) else value
        self.weigh(found)
        return msgspec.json.encode(found).decode()

    def _concatenated(self, parts: Iterable[str]) -> str:
        found = list(parts)
        self.pay(sum(map(len, found)))
        return "".join(found)

    def _concatenation(self, parts: list[Any]) -> str:
        return "".join(map(self._text, parts))

    def _slice(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        found = value[start:stop:step]
        self.pay(_size(found))
        return found

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        items = list(value)
        if attribute is not None:
            items = [self.getitem(item, attribute) for item in items]
        self.pay(len(d) * len(items))
        return d.join([self._text(item) for item in items])

    def _replace(self, value: Any, old: str, new: str, count: int = -1) -> str:
        text = self._text(value)
        self.pay(len(new) * (text.count(old) if count < 0 else min(count, text.count(old))))
        return text.replace(old, new, count)


class _Priced(NodeTransformer):
    """Sends through filters what Jinja compiles into plain Python: loops, ``~``, slices and literals."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(cast("nodes.Expr", node.iter), _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), _CONCATENATED)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _filter(node.node, _SLICED, [part or nodes.Const(None, lineno=node.lineno) for part in bounds])

    def _literal(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        # A tuple may also be what is assigned to.
        return node if getattr(node, "ctx", "load") != "load" else _filter(node, _BUILT)

    visit_List = visit_Tuple = visit_Dict = _literal


def _filter(node: nodes.Expr, name: str, arguments: list[nodes.Expr] | None = None) -> nodes.Filter:
    return nodes.Filter(node, name, arguments or [], [], None, None, lineno=node.lineno)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 0


def _small(value: Any, bits: int) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= bits)


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > 100_000:
        raise _Exceeded("a range of more than 100000")
    return found


def _round(value: float, precision: int = 0) -> float:
    return round(float(value), max(-20, min(20, precision)))


def _trim(value: Any) -> str:
    return str(value).strip()


def _sum(value: Iterable[Any]) -> float:
    return sum(float(item) if isinstance(item, str) else item for item in value)


def _time(value: Any, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time of the documents (RFC 3339) in another form, in UTC."""
    if not _FORMAT.fullmatch(form):
        raise _Exceeded(f"{form[:40]!r} is no form of a time: write %Y-%m-%d %H:%M:%S")
    return to_datetime(parse_time(value)).strftime(form)


def _told(error: BaseException) -> str:
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, RecursionError):
        text = "it calls itself too often"
    elif isinstance(error, _Exceeded | jinja2.TemplateError | ValueError | TypeError | ArithmeticError):
        text = str(error)
    else:
        text = type(error).__name__
    return f"line {line}: {text}" if line else text
