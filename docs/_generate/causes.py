"""``causes.md``, a page for each category of causes, and ``reasons.md``: the catalogue, and how much it covers."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial

import msgspec

from docs._generate.markdown import block, code, codes, page, table
from pipetrail.catalogue import TURNS, Catalogue, Cause, load
from pipetrail.cli import catalogue_shapes as shapes

SOURCE = "src/pipetrail/catalogue/data"

_INTRO = """What can stand behind a failed or stuck run. `pipetrail catalogue REASON` prints the same for a reason, and
`pipetrail catalogue REASON -m MESSAGE` what a message says. [Reasons](reasons.md) lists all words that point here."""

_COVERAGE = """## Coverage

{reasons} reasons of {components} components: {pointing} point to a cause, {symptoms} are symptoms (they never say why),
{plain} are plain facts. {causes} causes, of which {read} are recognised in messages by {rows} rows, each with an
example. {unverified} reasons and the wording of {hearsay} rows have not been checked against their source."""

EXAMPLE = r"""
category: storage
causes:
  lake_token_expired:
    title: The token for the data lake has expired
    blame: configuration
    retry: no
    specificity: 5
    meaning: The lake refused to open <dataset>.
    do: Renew the Secret lake-token in the run's namespace.
  quota_exceeded:
    do: Ask in the channel of your cluster for more of ResourceQuota <quota>.
reasons:
  lake-operator:
    DatasetMount:
      TokenExpired: {type: Warning, cause: lake_token_expired}
messages:
  - reasons: [Error, FailedMount]
    rows:
      - cause: lake_token_expired
        has: [lake token expired]
        match: 'lake token expired for dataset (?P<dataset>\S{1,200})'
        example: lake token expired for dataset clicks/2026
"""

_OWN = """## Your own

Put files of the same form into a folder and name it with `--catalogue DIR` or `PIPETRAIL_CATALOGUE`. A cause or reason
that is there already is changed field by field; your rows for messages are tried first; the rest is added.

{example}

* `blame` is one of {blames}; `retry` is yes, no or maybe.
* `specificity` goes from 0 (the outcome of a policy, such as a deadline) over 2 (a generic exit) and 4 (a named actor)
  to 5 (a fact of hardware, kernel or message). A verdict of a cause below 4 is never of high confidence, below 3 only
  of low; `confidence` sets another bound.
* `has` are texts in lower case, of which one must be in the message; `match` is a Python pattern, tried whatever the
  case, whose named groups fill `<name>` in the texts. Give repeats a bound (`\\S{{1,200}}`, not `\\S+`): messages come
  from strangers.
* Mistakes are told all at once, each with file, entry and remedy."""

MEANINGS: Mapping[str, str] = {
    "id": "The cause's id",
    "title": "It in a few words",
    "category": "What it belongs to",
    "blame": "On whom it falls",
    "turn": "Whose turn it is, in words",
    "retry": "Whether another try can help: yes, no, maybe",
    "severity": "info, warn, error or fatal",
    "role": "cause, symptom, consequence, modifier or info",
    "specificity": "0 to 5: how exactly it names what happened",
    "confidence": "How sure a verdict may be at most: high, medium, low",
    "meaning": "What it means",
    "do": "What to do",
    "reasons": "The reasons that point to it: `reason`, `component`, `kind`, `types`",
    "in_messages_of": "The reasons in whose messages it is recognised",
    "reason": "The reason",
    "component": "Who says it",
    "kind": "Of what",
    "types": "Normal or Warning of an event, else where the word stands",
    "says": "What it means when this component says it",
    "cause": "The cause that it points to, or null",
    "sub_causes": "The causes that its message can name",
    "makers": "Who can have made an exit code: `cause`, and the `terminated` reason or `earlier` reasons that tell",
    "fields": "What the message says: the names in `<>` and their values",
}
"""The fields of the JSON lines of `pipetrail catalogue`."""


@cache
def _known() -> Catalogue:
    return load()


def write() -> str:
    """The page that counts and leads to the others."""
    known = _known()
    entries = known.entries
    rows = [row for group in known.messages for row in group.rows]
    found = _COVERAGE.format(
        reasons=len(entries),
        components=len({entry.component for entry in entries}),
        pointing=sum(bool(entry.cause) for entry in entries),
        symptoms=sum(not entry.cause and entry.role == "symptom" for entry in entries),
        plain=sum(not entry.cause and entry.role != "symptom" for entry in entries),
        causes=len(known.causes),
        read=len({row.cause for row in rows}),
        rows=len(rows),
        unverified=sum(entry.unverified for entry in entries),
        hearsay=sum(row.unverified for row in rows),
    )
    counts = Counter(cause.category for cause in known.causes.values())
    categories = (
        (f"[{name}](causes/{name}.md)", str(counts[name]), str(sum(entry.category == name for entry in entries)))
        for name in sorted(counts)
    )
    said = Counter(entry.component for entry in entries)
    own = _OWN.format(example=block(EXAMPLE, "yaml"), blames=codes(TURNS))
    return page(
        "Causes",
        SOURCE,
        _INTRO,
        table(("Category", "Causes", "Reasons"), categories),
        found,
        table(("Component", "Reasons"), ((code(name), str(number)) for name, number in sorted(said.items()))),
        own,
        _json(),
    )


def _json() -> str:
    """The fields of each kind of line."""
    kinds = (
        ("`pipetrail catalogue`, and of a cause", shapes.CauseShape),
        ("`pipetrail catalogue REASON`", shapes.ReasonShape),
        ("with `-m`; `cause` is the cause as above", shapes.NamedShape),
    )
    parts = ["## As JSON", "With `-o json` each line is an object. Fields may be added, never renamed."]
    for title, struct in kinds:
        names = [field.encode_name for field in msgspec.structs.fields(struct)]
        parts += [f"### {title}", table(("Field", "Means"), ((code(name), MEANINGS[name]) for name in names))]
    return "\n\n".join(parts)


def category(name: str) -> str:
    """The page of a category."""
    causes = sorted((cause for cause in _known().causes.values() if cause.category == name), key=lambda each: each.id)
    return page(f"Causes: {name}", SOURCE, "[All categories](../causes.md)", *map(_section, causes))


def _section(cause: Cause) -> str:
    signals = _known().signals(cause.id)
    facts = (
        f"Turn: {cause.turn.partition(':')[0]}. Worth a retry: {cause.retry}. Sure at most: {cause.most}."
        + ("" if cause.role == "cause" else f" It is a {cause.role}, not the root of anything.")
        + (" If different jobs meet it on one device, the device is to blame." if cause.suspect_hardware else "")
    )
    parts = [f"## {code(cause.id)}", f"**{_prose(cause.title)}.** {_prose(cause.meaning)}", _prose(cause.do), facts]
    if signals.entries:
        named = [f"{code(entry.reason)} ({entry.component})" for entry in signals.entries]
        parts.append(f"Reasons: {', '.join(named)}.")
    if signals.rows:
        examples = ((codes(_few(reasons)), code(row.example.strip())) for reasons, row in signals.rows)
        parts.append(table(("In messages of", "Such as"), examples))
    return "\n\n".join(parts)


def _few(reasons: list[str]) -> list[str]:
    return reasons if len(reasons) <= 3 else [*reasons[:3], "…"]


def reasons() -> str:
    """The page of all reasons."""
    known = _known()
    rows = (
        (
            code(entry.reason),
            entry.component,
            entry.kind,
            ", ".join(entry.types),
            f"[{entry.cause}](causes/{known.cause(entry.cause).category}.md#{entry.cause})"
            if entry.cause
            else entry.role,
            _prose(entry.says),
        )
        for entry in sorted(known.entries, key=lambda each: (each.reason.casefold(), each.component, each.kind))
    )
    intro = "Every word that the catalogue knows. A `*` stands for anything. See [Causes](causes.md)."
    return page("Reasons", SOURCE, intro, table(("Reason", "Said by", "Of", "As", "Points to", "Means"), rows))


def _prose(text: str) -> str:
    """A text whose ``<names>`` are no tags."""
    return re.sub(r"<\w+>", lambda found: code(found[0]), text)


def pages() -> dict[str, Callable[[], str]]:
    """Each page and what writes it."""
    names = sorted({cause.category for cause in _known().causes.values()})
    return {
        "causes.md": write,
        "reasons.md": reasons,
        **{f"causes/{name}.md": partial(category, name) for name in names},
    }
