"""Templates of users: what they can do, and that none reaches the system, runs for ever or fills the memory."""

import contextlib
import re
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.documents.deliveries import delivery_json
from pipetrail.sinks import templates
from pipetrail.sinks.templates import TemplateError, compiled
from pipetrail.testing.deliveries import delivery

EVENT: dict[str, Any] = msgspec.json.decode(delivery_json(delivery(1)))
GROWING = "{% set ns = namespace(it=START) %}{% for i in range(100) %}{% set ns.it = STEP %}{% endfor %}"


def rendered(text: str, **data: Any) -> str:
    return compiled(text)({"event": EVENT} | data)


def failed(text: str, **data: Any) -> str:
    """How rendering fails, within bounds of time and memory."""
    template = compiled(text)
    tracemalloc.start()
    began = time.thread_time()
    try:
        with pytest.raises(TemplateError) as error:
            template({"event": EVENT} | data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 10
    assert peak < 300 << 20
    return str(error.value)


# --- What they can do


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ event.reason }} {{ event['about'].name }}", "BackOff worker-1"),
        ("{{ event.about.name|upper }}", "WORKER-1"),
        ("{{ event.at|time }}", "2026-11-24 03:00:01"),
        ("{{ event.at|time('%d.%m.%Y %H:%M') }}", "24.11.2026 03:00"),
        ('{"text": {{ (event.reason ~ " \\"x\\"")|json }}}', '{"text": "BackOff \\"x\\""}'),
        ("{{ {'a': [1, none, true]}|tojson }}", '{"a":[1,null,true]}'),
        (
            "{% for link in event.links %}{{ loop.index }}/{{ loop.length }} {{ link.run_name }}{% endfor %}",
            "1/1 train",
        ),
        ("{{ event.nothing|default('none') }}", "none"),
        ("{{ event.run is none }} {{ event.nothing is defined }}", "True False"),
        ("{% if event.severity in ['warning', 'error'] %}bad{% else %}good{% endif %}", "bad"),
        ("{% macro b(x) %}<{{ x }}>{% endmacro %}{{ b(event.reason) }}", "<BackOff>"),
        ("{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"),
        ("{{ event.about.name.split('-')|join('+') }} {{ event.reason.startswith('Back') }}", "worker+1 True"),
        ("{{ [{'n': 'a'}, {'n': 'b'}]|map(attribute='n')|join(', ') }}", "a, b"),
        ("{{ [{'n': 1}, {'n': 1}]|groupby('n')|map(attribute='list')|map('length')|list }}", "[2]"),
        ("{% for key, value in {'b': 1, 'a': 2}|dictsort %}{{ key }}{{ value }}{% endfor %}", "a2b1"),
        ("{{ 'abc'[1:] }} {{ 'abc'[::-1] }} {{ [1, 2, 3][-1] }}", "bc cba 3"),
        (
            "{{ 2 ** 5 }} {{ 3 * 4 }} {{ 'ab' * 2 }} {{ 7 % 4 }} {{ 7 // 2 }} {{ [1] * 2 + [3] }}",
            "32 12 abab 3 3 [1, 1, 3]",
        ),
        ("{{ 'a-b'|replace('-', '+') }} {{ ' a '|trim }}{{ 1.25|round(1) }} {{ [1, 2]|sum }}", "a+b a1.2 3"),
        ("{{ '<&>' }}", "<&>"),
        ("{% set a, b = 1, 2 %}{{ b }}{% set c %}x{{ a }}{% endset %}{{ c }}", "2x1"),
        ("{% macro m() %}<{{ caller(1) }}>{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "<1>"),
    ],
)
def test_a_template_can(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_the_page_names_each_filter() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "webhook.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z]+", re.search(r"^> `(.*?)`$", page, re.M | re.S)[1])) | {"json", "time"}  # type: ignore[index]

    assert {name for name in templates.FILTERS if name not in ("d", "tojson")} == named


def test_the_data_stay_as_they_are() -> None:
    before = msgspec.json.encode(EVENT)
    for text in ("{{ event.links.append(1) }}", "{{ event.update({'a': 1}) }}", "{{ event.links.clear() }}"):
        assert "has no attribute" in failed(text)

    assert msgspec.json.encode(EVENT) == before


def test_a_template_is_rendered_as_often_as_one_likes() -> None:
    template = compiled("{{ 'x' * 1000000 }}")

    assert [len(template({})) for _ in range(100)] == [1_000_000] * 100


# --- Mistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\n{% if x %}", "line 2: Unexpected end of template"),
        ("a\n\n{{ nope( }}", "line 3: unexpected '}'"),
        ("{{ 'x'|nothing }}", "line 1: No filter named 'nothing'"),
        ("{{ 1 is nothing }}", "line 1: No test named 'nothing'"),
        ("{% include 'x' %}", "line 1: include can't be used"),
        ("{% import 'x' as y %}", "line 1: import can't be used"),
        ("{% from 'x' import y %}", "line 1: fromimport can't be used"),
        ("{% extends 'x' %}", "line 1: extends can't be used"),
        ("{% block a %}{{ self.a() }}{% endblock %}", "line 1: block can't be used"),
        ("{% for a in [] recursive %}{{ loop(a) }}{% endfor %}", "line 1: a recursive loop can't be used"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "it can't be read: "),
        ("{% if 1 %}" * 200 + "{% endif %}" * 200, "it can't be read: "),
        ("x" * 70_000, "a template of 70000 characters; the most is 65536"),
    ],
)
def test_a_text_that_is_no_template_is_refused_when_it_is_read(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="^" + told):
        compiled(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\n{{ event.nothing }}", "line 2: 'dict object' has no attribute 'nothing'"),
        ("{{ nothing }}", "line 1: 'nothing' is undefined"),
        ("{{ 1 / 0 }}", "line 1: division by zero"),
        ("{{ event.reason|int + 'x' }}", "line 1: unsupported operand"),
        ("{{ '%s' % 1 }}", "line 1: % does not work with text; write a ~ b"),
        ("{{ 'never'|time }}", "line 1: Invalid isoformat string"),
        ("{{ event.at|time('%9999999d') }}", "line 1: '%9999999d' is no form of a time"),
        ("{{ range }}", "line 1: function has no text"),
        ("{{ namespace() }}", "line 1: Namespace has no text"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "line 1: it calls itself too often"),
    ],
)
def test_a_template_that_raises_says_where_and_why(text: str, told: str) -> None:
    assert failed(text).startswith(told)


# --- No way out


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''.__class__ }}",
        "{{ event.__class__.__base__.__subclasses__() }}",
        "{{ (1).__class__ }}",
        "{{ event.get.__self__ }}",
        "{{ ''.join.__class__ }}",
        "{{ range.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ joiner }}",
        "{{ dict.mro() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ config }}{{ request }}{{ environment }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0.__class__}'.format_map({'0': 1}) }}",
        "{{ event.reason.format }}",
        "{{ [1]|map(attribute='__class__')|list }}",
        "{{ ['']|map('attr', '__class__')|list }}",
        "{{ [{'a': 1}]|map(attribute='a.__class__')|list }}",
        "{{ [1, 2]|groupby('__class__') }}",
        "{{ [1, 2]|sort(attribute='__class__') }}",
        "{{ ['']|selectattr('__class__')|list }}",
        "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
        "{% for i in [1] %}{{ loop._iterator.__class__ }}{% endfor %}",
        "{% for i in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
        "{% set ns = namespace(a=1) %}{{ ns.__class__ }}",
        "{% set ns = namespace(a=1) %}{{ ns._Namespace__attrs }}",
    ],
)
def test_no_template_reaches_the_system(text: str) -> None:
    told = failed(text)

    assert "has no attribute" in told or "undefined" in told or "No filter" in told


@pytest.mark.parametrize(
    "text", ["{{ ''|attr('__class__') }}", "{{ '%s'|format(1) }}", "{{ 1|pprint }}", "{{ ''|xmlattr }}"]
)
def test_filters_that_reach_far_are_not_there(text: str) -> None:
    with pytest.raises(ValueError, match="No filter named"):
        compiled(text)


# --- No end of time


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
        "{% for a in range(100000) %}{{ range(100000)|sum }}{% endfor %}",
        "{% macro m() %}{{ m(varargs, varargs) }}{% endmacro %}{{ m(1) }}",
        "{% macro m() %}{{ m(a=kwargs, b=kwargs) }}{% endmacro %}{{ m(a=1) }}",
        GROWING.replace("START", "[]").replace("STEP", "[ns.it, ns.it]") + "{{ ns.it == [1] }}",
        GROWING.replace("START", "{}").replace("STEP", "{'a': ns.it, 'b': ns.it}") + "{{ ns.it|json }}",
    ],
)
def test_a_template_that_does_not_end_is_ended(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.2)
    assert "it takes longer than 0.2 s" in failed(text)


def test_a_busy_machine_makes_no_template_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    template = compiled("{% for a in range(50) %}{{ a }}{% endfor %}")
    monkeypatch.setattr(templates, "SECONDS", 0.25)
    before = time.monotonic()
    while time.monotonic() < before + 0.3:
        time.sleep(0.01)  # as if another process had the processor

    assert template({}).startswith("0123")


# --- No end of memory


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'x' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ (0,) * 10 ** 9 }}",
        GROWING.replace("START", "'x' * 999").replace("STEP", "ns.it ~ ns.it"),
        GROWING.replace("START", "'x' * 999").replace("STEP", "ns.it + ns.it"),
        GROWING.replace("START", "[1] * 999").replace("STEP", "ns.it + ns.it"),
        GROWING.replace("START", "['x' * 999]").replace("STEP", "[ns.it, ns.it]") + "{{ ns.it }}",
        GROWING.replace("START", "'x' * 999999").replace("STEP", "ns.it[1:]"),
        GROWING.replace("START", "'x' * 999999").replace("STEP", "ns.it|upper"),
        GROWING.replace("START", "'x' * 999999").replace("STEP", "ns.it.upper()"),
        GROWING.replace("START", "'x' * 9999").replace("STEP", "ns.it|replace('x', 'xx')"),
        GROWING.replace("START", "'x' * 9999").replace("STEP", "[ns.it, ns.it]|join"),
        GROWING.replace("START", "'%' * 9999").replace("STEP", "ns.it|urlencode"),
        "{% for i in range(100000) %}" + "y" * 10_000 + "{% endfor %}",
        "{% set x %}{% for i in range(100000) %}" + "y" * 10_000 + "{% endfor %}{% endset %}{{ x|length }}",
        "{% filter upper %}{% for i in range(100000) %}" + "y" * 10_000 + "{% endfor %}{% endfilter %}",
        "{% macro m() %}{% for i in range(100000) %}" + "y" * 10_000 + "{% endfor %}{% endmacro %}{{ m()|length }}",
        "{{ ['x' * 1000000] * 1000 }}",
        "{{ (['x' * 1000000] * 1000)|json }}",
        "{{ ['a', 'b']|join('x' * 40000000) }}",
        "{{ ('a' * 1000000).strip('b' * 1000000) }}",
        "{{ ('a' * 99999)|replace('', 'x' * 99999) }}",
        "{% set many = range(100000)|list %}{{ range(100000)|select('in', many)|list }}",
    ],
)
def test_a_template_that_makes_too_much_is_ended(text: str) -> None:
    told = failed(text)

    assert "it makes more than 32 Mi characters" in told or "it takes longer than 1 s" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ 'x'.rjust(10 ** 9) }}", "no attribute 'rjust'"),
        ("{{ 'x'.zfill(10 ** 9) }}", "no attribute 'zfill'"),
        ("{{ 'x\t'.expandtabs(10 ** 9) }}", "no attribute 'expandtabs'"),
        ("{{ '%1000000000d' % 1 }}", "% does not work with text"),
        ("{{ 10 ** 10000000 }}", "** with numbers as big as these"),
        ("{{ 10.0 ** 10000 }}", "** with numbers as big as these"),
        (GROWING.replace("START", "9").replace("STEP", "ns.it * ns.it"), "a number that is too big"),
        ("{{ range(10 ** 9)|list }}", "a range of more than 100000"),
        ("{{ [[1], [2]]|sum(start=[]) }}", "unexpected keyword argument"),
        (
            GROWING.replace("START", "1").replace("STEP", "namespace(a=ns.it, b=ns.it)") + "{{ ns.it|upper }}",
            "namespace",
        ),
    ],
)
def test_there_is_no_other_way_to_make_much(text: str, told: str) -> None:
    assert told in failed(text)


# --- Whatever is written

PIECES = [
    *("{{", "}}", "{%", "%}", "{#", "#}", "event", ".about", "|json", "|join", "|map('upper')", "if", "endif", "set"),
    *("macro", "endmacro", "m()", "ns", "=", "namespace()", "'a'", "[1]", "{}", "1", "*", "**", "~", "+", "(", ")"),
    *("[", "]", ":", ",", "loop.index", "__class__", "is", "not", "in", "for x in range(9)", "endfor"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join) | st.text(max_size=60))
def test_whatever_is_written_gives_text_or_one_of_two_errors(text: str) -> None:
    found: object = ""
    with contextlib.suppress(ValueError, TemplateError):
        found = rendered(text)

    assert isinstance(found, str)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), st.lists, max_leaves=20))
def test_json_of_any_data_is_what_it_was(value: Any) -> None:
    assert msgspec.json.decode(rendered("{{ value|json }}", value=value)) == value


def test_deep_recursion_leaves_the_interpreter_as_it_was() -> None:
    limit = sys.getrecursionlimit()
    failed("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(1) }}")

    assert sys.getrecursionlimit() == limit
    assert rendered("{{ 1 }}") == "1"
