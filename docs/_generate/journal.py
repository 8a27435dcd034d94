"""``journal.md``: the tables of a journal, as they are made."""

import inspect

import apsw

from docs._generate.markdown import block, code, page, table
from pipetrail.stores.sqlite import schema

SOURCE = "src/pipetrail/stores/sqlite/schema.py"

_INTRO = f"""A journal is one SQLite file. Read it with `pipetrail`, or with any SQLite of version 3.37 or newer;
write it never. The layout may change with a new version of pipetrail, which brings older journals up to date when it
opens them to write: for programs, use the [JSON output](output.md). This is version {schema.VERSION} (`PRAGMA
user_version`), with the application id `{schema.APPLICATION_ID:#x}`. Why it is laid out so: [The
journal](../explanation/journal.md).

Times are integer microseconds since 1970 in UTC. Columns named after a text (`reason`, `kind`, `cluster` …) hold
its number in `strings`; a namespace, a name or a text that is absent is the empty one."""

MEANINGS = {
    "meta": "Counters, such as `next_seq`, and `pruned_seq`, up to which history was taken away",
    "strings": "Each repeated text once",
    "clusters": "The clusters, what people call them, and how long they keep their Events",
    "segments": "Each segment's range of `seq`, of time and of time of receipt. An event belongs to the segment of its "
    "arrival, whatever its `at`",
    "objects": "Each object once, also after its deletion",
    "versions": "The kept bodies, zstd with a dictionary. An empty body is a tombstone",
    "dictionaries": "What the journal learned from its first bodies, to compress the others",
    "sources": "How each source stands, and the position from which it goes on",
    "gaps": "Where something may be missing",
    "rejects": "The last 1,000 inputs that could not be recorded",
    "prunes": "What history was taken away, when and why, and the `seq` of its first and last event",
    "declared": "Each fact that its Event named by an id, the greatest total that was seen of it, and the `seq` of its "
    "first event. `key` is a hash of cluster, namespace and id",
    "runs": "Each run that something belongs to. `name` is what people call it, `state` how it stands since "
    "`state_at`; `turn` is its last one, `waits` the verdict on it while it waits",
    "turns": "Each change of a run's state, and what was known of the run then. One that `corrects` another says the "
    "same state with a better cause, in a higher revision",
    "tallied_events": "How often events of a reason and severity happened, also of those that were pruned; all up to "
    "`tallied_seq` of `meta` is counted, here and in the next four",
    "tallied_gaps": "How many gaps there were",
    "tallied_runs": "How each run was counted last",
    "pipelines": "Each pipeline, how many runs it had, and whether metrics show it by its name",
    "tallies": "What is counted of a pipeline's runs; `run`, `seen` and `at` are the last that added something",
    "verdicts": "What only a verdict has, by the `seq` of its event; `hash` is the event's own",
    "raised": "Which event was given better links later, and the `seq` of that change",
    "links_N": "Each distinct set of links to runs once; `run` of an event is the number of its set. No event before"
    " `first` has it",
    "events_N": "One row for each fact. `seq` runs on through all segments",
    "refs_N": "The objects that its events name",
    "messages_N": "Each distinct message once",
    "fts_N": "The full text of the messages (FTS5)",
}


def write() -> str:
    """The page."""
    rows = []
    for name, columns in tables().items():
        rows.append((code(name), MEANINGS[name], ", ".join(columns)))
    return page(
        "The journal's tables",
        SOURCE,
        _INTRO,
        block(_layout()),
        table(("Table", "Holds", "Columns"), rows),
        "A column in italics may be null.\n\n## Indexes",
        "\n".join(f"* `{index}`" for index in indexes()),
        "The last two are made when a segment is closed.",
    )


def _layout() -> str:
    """The layout as the module describes it."""
    text = inspect.getdoc(schema) or ""
    lines = [line for line in text.split("=====")[1:-1] if line.strip("= \n")]
    found = "\n".join(line.strip("= \n") for line in lines)
    if "events_N" not in found:
        raise LookupError("docs/_generate/journal.py: the docstring of schema.py has no table of the segment's tables")
    return found


def _made() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    schema.migrate(db, 0)
    schema.create_segment(db, 1, full_text=True)
    schema.seal_segment(db, 1)
    return db


def tables() -> dict[str, list[str]]:
    """The columns of each table. The shadow tables of FTS5 are its own."""
    db = _made()
    found: dict[str, list[str]] = {}
    for (name,) in list(db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")):
        if name.startswith("fts_1_") or name.startswith("sqlite_"):
            continue
        columns = db.execute(f"SELECT name, \"notnull\" OR pk FROM pragma_table_info('{name}')")  # noqa: S608
        found[name.removesuffix("1") + "N" if name.endswith("_1") else name] = [
            code(column) if full or name.startswith("fts") else f"*`{column}`*" for column, full in columns
        ]
    return found


def indexes() -> list[str]:
    """What each index covers, as SQL."""
    found = _made().execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY rowid")
    return [sql.partition("INDEX ")[2].replace("_1", "_N") for (sql,) in found]
