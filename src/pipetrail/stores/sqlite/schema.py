"""The tables of a journal, and how an older one becomes a current one.

Global tables hold what lives longer than a segment; each segment has tables of its own, numbered by its id, so that old
history goes by dropping tables, and neither writing nor pruning gets slower with age:

=============  =====================================================================================
events_N       one row a fact; rowid = seq, which runs on through all segments and tables
refs_N         the object references that its events name
messages_N     each distinct message once
fts_N          full text of messages_N
links_N        each distinct set of links to runs once
=============  =====================================================================================

The time index of a segment is kept as it grows; those by object, by reason and by run are made when it is closed, in
one sort, which costs a tenth of keeping them. Until then ``first`` in links_N, a ``seq`` before which no event has
that set, tells from where the events of a run are to be looked for; NULL, of an older journal: from the beginning.
"""

from collections.abc import Callable

import apsw

from pipetrail.stores.sqlite.tallies import TALLIES

VERSION = 7
_LAST_SEGMENT = "last_segment"  # in meta: the highest number that a segment ever had
APPLICATION_ID = 0x7074726C  # "ptrl"

_FIRST = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE strings(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE clusters(id INTEGER PRIMARY KEY REFERENCES strings, label TEXT NOT NULL, event_ttl INTEGER) STRICT;
CREATE TABLE segments(
  id INTEGER PRIMARY KEY,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  events INTEGER NOT NULL,
  min_at INTEGER NOT NULL, max_at INTEGER NOT NULL,
  min_observed INTEGER NOT NULL, max_observed INTEGER NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE objects(
  id INTEGER PRIMARY KEY,
  cluster INTEGER NOT NULL, source INTEGER NOT NULL,
  api_version INTEGER NOT NULL, kind INTEGER NOT NULL, namespace INTEGER NOT NULL,
  name TEXT NOT NULL, uid TEXT NOT NULL,
  created_at INTEGER, deleted_at INTEGER, last_version INTEGER NOT NULL,
  UNIQUE(cluster, uid)
) STRICT;
CREATE INDEX objects_by_name ON objects(name);
CREATE TABLE versions(
  seq INTEGER PRIMARY KEY, object INTEGER NOT NULL, observed_at INTEGER NOT NULL,
  dictionary INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX versions_by_object ON versions(object, seq);
CREATE TABLE dictionaries(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE sources(
  cluster INTEGER NOT NULL, resource INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'stopped', reason TEXT NOT NULL DEFAULT '', position TEXT,
  alive_at INTEGER, last_event_at INTEGER, events INTEGER NOT NULL DEFAULT 0, missing_rights TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(cluster, resource)
) STRICT, WITHOUT ROWID;
CREATE TABLE gaps(
  seq INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, resource INTEGER NOT NULL,
  since INTEGER, until INTEGER NOT NULL, reason TEXT NOT NULL, loss TEXT NOT NULL
) STRICT;
CREATE TABLE rejects(
  id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, resource INTEGER NOT NULL, at INTEGER NOT NULL,
  reason TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE prunes(
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, reason TEXT NOT NULL, events INTEGER NOT NULL,
  since INTEGER NOT NULL, until INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES('next_seq', 1);
"""

_DECLARED = """
CREATE TABLE declared(key INTEGER PRIMARY KEY, total INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;
"""

_RUNS = """
CREATE TABLE runs(
  id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, system TEXT NOT NULL, run TEXT NOT NULL, name TEXT NOT NULL,
  UNIQUE(cluster, system, run)
) STRICT;
CREATE INDEX runs_by_name ON runs(name);
CREATE TABLE raised(seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, event INTEGER NOT NULL) STRICT;
"""

_LINKS = """
CREATE TABLE links_{number}(
  id INTEGER NOT NULL, position INTEGER NOT NULL, run INTEGER NOT NULL, rel INTEGER NOT NULL,
  step TEXT, attempt INTEGER, run_attempt INTEGER, replica TEXT, pod_uid TEXT,
  confidence INTEGER NOT NULL, via TEXT NOT NULL, PRIMARY KEY(id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_{number}_run ON links_{number}(run);
"""
_FIRST_USE = "ALTER TABLE links_{number} ADD COLUMN first INTEGER;"

_VERDICTS = """
CREATE INDEX runs_by_run ON runs(run);
ALTER TABLE runs ADD COLUMN state TEXT;
ALTER TABLE runs ADD COLUMN state_at INTEGER;
CREATE INDEX runs_by_state ON runs(state, state_at) WHERE state IS NOT NULL;
CREATE TABLE verdicts(
  seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, run INTEGER, hash INTEGER NOT NULL UNIQUE,
  supersedes TEXT, body TEXT NOT NULL
) STRICT;
CREATE INDEX verdicts_by_run ON verdicts(run, seq);
"""

_TURNS = """
ALTER TABLE runs ADD COLUMN namespace TEXT;
ALTER TABLE runs ADD COLUMN pipeline TEXT;
ALTER TABLE runs ADD COLUMN turn INTEGER;
ALTER TABLE runs ADD COLUMN waits TEXT;
CREATE INDEX runs_by_pipeline ON runs(cluster, namespace, pipeline, turn) WHERE turn IS NOT NULL;
CREATE TABLE turns(
  seq INTEGER PRIMARY KEY, run INTEGER NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL,
  revision INTEGER NOT NULL, corrects INTEGER, body TEXT NOT NULL
) STRICT;
CREATE INDEX turns_by_run ON turns(run, seq);
ALTER TABLE prunes ADD COLUMN first_seq INTEGER;
ALTER TABLE prunes ADD COLUMN last_seq INTEGER;
"""


def _link_segments(db: apsw.Connection) -> None:
    """Give the segments that there are a place for links; their events have none."""
    for _ in db.execute(_RUNS):
        pass
    for (number,) in db.execute("SELECT id FROM segments").fetchall():
        db.execute(f"ALTER TABLE events_{number} ADD COLUMN revision INTEGER")
        for _ in db.execute(_LINKS.format(number=number)):
            pass


def _first_uses(db: apsw.Connection) -> None:
    """Give the sets of links that there are a place for their first use, which nobody noted."""
    for (number,) in db.execute("SELECT id FROM segments").fetchall():
        db.execute(_FIRST_USE.format(number=number))


Migration = str | Callable[[apsw.Connection], None]

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _DECLARED, _link_segments, _VERDICTS, _TURNS, TALLIES, _first_uses)
"""Step ``n`` brings a journal from version ``n`` to ``n + 1``: statements, or what is to be called."""


def migrate(db: apsw.Connection, version: int) -> None:
    """Bring a journal of an older version to this one, all steps in one transaction."""
    with db:
        for step in MIGRATIONS[version:]:
            if not isinstance(step, str):
                step(db)
                continue
            for _ in db.execute(step):
                pass
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def next_segment(db: apsw.Connection) -> int:
    """The number of a new segment, never that of one that was dropped: readers remember what they read under it."""
    found = db.execute(
        "SELECT 1 + max(coalesce(max(id), 0), (SELECT coalesce(max(value), 0) FROM meta WHERE key = ?)) FROM segments",
        (_LAST_SEGMENT,),
    )
    number = int(found.get)
    db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (_LAST_SEGMENT, number))
    return number


def create_segment(db: apsw.Connection, number: int, full_text: bool) -> None:
    """Make the tables of a segment."""
    db.execute(
        f"""
        CREATE TABLE events_{number}(
          seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, observed_at INTEGER NOT NULL, hash INTEGER NOT NULL,
          origin INTEGER NOT NULL, severity INTEGER NOT NULL, type INTEGER NOT NULL, count INTEGER NOT NULL,
          cluster INTEGER NOT NULL, about INTEGER NOT NULL, reason INTEGER NOT NULL, message INTEGER NOT NULL,
          action INTEGER NOT NULL, reporter INTEGER NOT NULL, node INTEGER NOT NULL, related INTEGER,
          source_name TEXT, source_uid BLOB, total INTEGER, marks TEXT, estimated INTEGER, run INTEGER,
          revision INTEGER
        ) STRICT;
        CREATE INDEX events_{number}_at ON events_{number}(at);
        CREATE TABLE refs_{number}(
          id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, api_version INTEGER NOT NULL, kind INTEGER NOT NULL,
          namespace INTEGER NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, field_path INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE messages_{number}(id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
        {_LINKS.format(number=number)}
        {_FIRST_USE.format(number=number)}
        """
    )
    if full_text:
        db.execute(
            f"""
            CREATE VIRTUAL TABLE fts_{number} USING fts5(
              text, content='messages_{number}', content_rowid='id', columnsize=0, tokenize='unicode61'
            );
            """
        )


def has_full_text(db: apsw.Connection, number: int) -> bool:
    """Whether the messages of a segment are indexed for search."""
    return bool(db.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", (f"fts_{number}",)).get)


def seal_segment(db: apsw.Connection, number: int) -> None:
    """Add the indexes that only a closed segment has."""
    db.execute(
        f"""
        CREATE INDEX IF NOT EXISTS events_{number}_about ON events_{number}(about, at);
        CREATE INDEX IF NOT EXISTS events_{number}_reason ON events_{number}(reason, at);
        CREATE INDEX IF NOT EXISTS events_{number}_run ON events_{number}(run, at) WHERE run IS NOT NULL;
        UPDATE segments SET sealed = 1 WHERE id = {number};
        """
    )


def drop_segment(db: apsw.Connection, number: int) -> None:
    """Forget a segment; its pages are used again."""
    db.execute(
        f"""
        DROP TABLE IF EXISTS fts_{number};
        DROP TABLE IF EXISTS messages_{number};
        DROP TABLE IF EXISTS links_{number};
        DELETE FROM raised WHERE segment = {number};
        DELETE FROM verdicts WHERE segment = {number};
        DROP TABLE IF EXISTS refs_{number};
        DROP TABLE IF EXISTS events_{number};
        DELETE FROM segments WHERE id = {number};
        """
    )
