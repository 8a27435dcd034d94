"""What the fields of ``sinks`` mean, for ``output.md``."""

import msgspec

from pipetrail.cli import sinks_shapes as shapes

MEANINGS: dict[type[msgspec.Struct], dict[str, str]] = {
    shapes.SinkShape: {
        "name": "Its name in the configuration",
        "type": "The kind of receiver",
        "state": "`closed`: all goes well. `open`: it waits after a failure. `half-open`: it tries a little after a "
        "failure. `full`: it stands still until somebody looks at its dead letters. `starting`; `stopped`; `new`: "
        "it is configured and never ran",
        "cursor": "All changes of the journal up to this `seq` were read for it",
        "lag_events": "How many changes of the journal it has not done with",
        "lag_seconds": "How long ago the oldest of these was recorded, as far as it was read",
        "rate": "Events a second, about the mean of the last half minute",
        "sent": "Events that the receiver took, ever",
        "held": "Events that wait for their run, or for their own next try",
        "unsettled": "Changes up to the cursor that it has not done with",
        "filtered": "Events that `match` and `drop` left out, ever",
        "filter_errors": "Events that were sent since a rule could not be applied to them, ever",
        "merged": "Events that were not sent since the same one with better links was, ever",
        "skipped": "Events that were pruned before they were sent, ever; see the gap `pruned-before-delivery`",
        "retries": "Requests that were tried again, ever",
        "dead_letters": "Dead letters that lie there now",
        "dead_letters_ever": "Dead letters, ever",
        "batches": "Requests that were taken, ever",
        "bytes": "About the size of what was sent, ever",
        "failures": "Failures by kind, ever: `refused`, `timeout`, `tls`, `auth`, `limited`, `server`, `client`, "
        "`answer`, `template`, `other`",
        "last_sent_at": "When the receiver last took something",
        "last_error": "What last went wrong, or nothing",
        "last_error_at": "When that was",
    },
    shapes.DeadLetterShape: {
        "seq": "The place of the change in the journal; it names the dead letter in `retry` and `drop`",
        "at": "When it was given up",
        "reason": "Why, in the words of the receiver",
        "event": "The event as [`events`](#events) has it",
    },
}

SECTIONS: tuple[tuple[str, type[msgspec.Struct], tuple[type[msgspec.Struct], ...]], ...] = (
    ("sinks", shapes.SinkShape, ()),
    ("sinks dead-letters", shapes.DeadLetterShape, ()),
)
