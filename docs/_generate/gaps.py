"""``gaps.md``: why continuity can break."""

from docs._generate.markdown import code, page, table
from pipetrail.app.skipping import REASON
from pipetrail.sources.gaps import REASONS, SHORTEST

SOURCE = "src/pipetrail/sources/gaps.py"

COMMENTS = {
    "FirstStart": "Once for each source, when it is first recorded; `from` is null. What was before can't be had",
    "PositionExpired": "The recorder was stopped, or cut off, for longer than the cluster keeps its history: with the "
    "usual compaction, 5 to 10 minutes. Keep it running; see [Health](../how-to/health.md)",
    "PositionStale": "Seen after a failed upgrade of an API server, or behind a broken proxy",
    "PositionLost": "The source was known, but its position was not stored: it was stopped within its first list, or "
    "the kind went away and came back",
    "ServerWentBack": "etcd was restored from a backup. What the cluster forgot by that is still in the journal",
    "ListTorn": "A list was so slow that the server forgot its state under way, three times in a row. "
    "Nothing is taken as deleted by such a list",
}


def write() -> str:
    """The page."""
    rows = ((code(reason), text, COMMENTS[reason]) for reason, text in REASONS.items())
    intro = _INTRO.format(seconds=SHORTEST // 1_000_000)
    return page("Gaps", SOURCE, intro, table(_TITLES, rows), _LOSS, _SINKS.format(reason=code(REASON)))


_TITLES = ("Reason", "Means", "When, and what to do")
_INTRO = """A gap says from when to when a source was blind, why, and whether anything can have been lost. It is an
event (origin `gap`, on the timeline at the end of the interval) and a row of `pipetrail status`. Breaks of up to
{seconds} s are counted in `pipetrail_source_resyncs_total` and not recorded. A watch that goes on from its position
is no gap, however long it was interrupted. See [What gaps mean](../explanation/watching.md)."""
_SINKS = """## Gaps of sinks

{reason}, with the resource `sinks/NAME`: events were pruned from the journal before this
[sink](../how-to/sinks.md) was sent them, so its receiver lacks them. Keep more, or look why it lags: `pipetrail sinks`.
From when to when is that of the history that was pruned; each cluster of the journal has the gap, since whose events
they were went with them."""
_LOSS = """## Loss

* `none`: the list that closed the gap provably holds all of it. So it is with Events when the source was blind for less
  than the cluster keeps them, and no namespace was deleted meanwhile.
* `possible`: something may have passed unseen. Events may have come and expired; of any other kind the states in
  between, and objects that came and went.

A gap event has severity `warning` where loss is possible, and `info` otherwise and at a first start. Its `action`
is `loss:none` or `loss:possible`."""
