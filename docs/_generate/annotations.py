"""``annotations.md``: what is let through, and what never is."""

from docs._generate.markdown import code, codes, page, table
from pipetrail.kube import keep

SOURCE = "src/pipetrail/kube/keep.py"

_INTRO = """An object is cleaned as soon as it is decoded: before it reaches the journal, a recording that `pipetrail
capture` writes, or anybody's screen. Why so: [What is never kept](../explanation/never-kept.md)."""

_TEXTS = """## Texts

In messages, termination messages and everything else that is kept as text, known forms of secrets become `[redacted]`.
The answers of the code to examples:"""

_HOLES = """This is a net with holes: a secret in a form that is not listed stays where somebody wrote it into a
message. Texts that only speak of secrets, such as `max_tokens=4096`, are left as they are."""

_SAMPLE = "abcdEFGH1234" * 4
EXAMPLES = (
    ("a private key", "-----BEGIN PRIVATE KEY-----"),
    ("a JSON web token", f"eyJ{_SAMPLE[:12]}.{_SAMPLE[:12]}.{_SAMPLE[:12]}"),
    ("a bearer token", f"Bearer {_SAMPLE[:20]}"),
    ("a password in a URL", "s3://ann:hunter2@store/models"),
    ("a password", "password=hunter2"),
    ("a value behind a telling word", f"API_KEY={_SAMPLE[:12]}"),
    ("an AWS access key id", "AKIA" + _SAMPLE[:12].upper() + "ABCD"),
    ("a GitHub token", "ghp_" + _SAMPLE[:20]),
    ("a GitLab token", "glpat-" + _SAMPLE[:16]),
    ("a Hugging Face token", "hf_" + _SAMPLE[:20]),
    ("a Slack token", "xoxb-" + _SAMPLE[:12]),
    ("a Google API key", "AIza" + _SAMPLE[:35]),
    ("an OpenAI key and its like", "sk-" + _SAMPLE[:20]),
)


def redacted() -> list[tuple[str, str, str]]:
    """What becomes of each example."""
    found = [(form, text, keep.redact(text)) for form, text in EXAMPLES]
    kept = [form for form, text, result in found if "[redacted]" not in result]
    if kept:
        raise LookupError(f"docs/_generate/annotations.py: not redacted any more: {', '.join(kept)}")
    return found


def shown(text: str) -> str:
    """An example, cut where it would look like a real key to a program that searches for such."""
    for part in (_SAMPLE[:12], _SAMPLE[:12].upper()):
        if part in text:
            return text.partition(part)[0] + "…"
    return text


def write() -> str:
    """The page."""
    kib = keep.MESSAGE_LIMIT // 1024
    return page(
        "What is let through",
        SOURCE,
        _INTRO,
        "## Annotations\n\nKept are annotations with one of these names:",
        _list(keep.ANNOTATIONS),
        "and those that begin with one of these prefixes:",
        _list(keep.ANNOTATION_PREFIXES),
        f"but never {codes(sorted(keep._NEVER))}, which hold whole templates. Labels are all kept.",
        f"## Env\n\nOnly the values of {codes(sorted(keep.ENV_VALUES))}. Of other variables the name stays where the"
        " value comes from a Secret or ConfigMap, with the name and key of that; the rest goes.",
        "## Spec and status of Jobs and custom resources\n\nKept whole, without the fields\n\n"
        f"{codes(sorted(keep._DROPPED))}\n\nwherever they stand; the rules for annotations and env hold in pod"
        " templates too; a text under a name such as `password`, `token` or `credentials` is redacted. A body of over"
        f" {keep.BODY_LIMIT // 1024} KiB loses its spec.",
        _TEXTS,
        table(
            ("Form", "Example", "Becomes"),
            ((form, code(shown(text)), code(result)) for form, text, result in redacted()),
        ),
        _HOLES,
        f"## Sizes\n\nA termination message is cut at {kib} KiB.",
    )


def _list(names: frozenset[str] | tuple[str, ...]) -> str:
    return "\n".join(f"* `{name}`" for name in sorted(names))
