"""What a sink sends of a delivery, unless its receiver has a form of its own: a line of ``events``, and the run."""

import msgspec

from pipetrail.documents.events import event_shape
from pipetrail.documents.times import FullTimes
from pipetrail.model import Delivery, Standing

_MOST_RUNS = 5_000  # whose documents are remembered: some 600 bytes each

_times = FullTimes()
_time = _times.or_none
_encode = msgspec.json.Encoder().encode
_ends: dict[int, tuple[Standing, bytes]] = {}


class StandingShape(msgspec.Struct, gc=False):
    """How the event's run stood when the event was read: `run` in what sinks send. ``phases`` are seconds by name."""

    id: str
    system: str
    cluster: str
    namespace: str
    name: str
    pipeline: str
    queue: str
    state: str
    at: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    attempts: int
    restarts: int
    preemptions: int
    evictions: int
    phases: dict[str, float]
    reason: str
    category: str
    blame: str
    labels: dict[str, str]


def standing_shape(run: Standing) -> StandingShape:
    """The document of a run as it stood."""
    return StandingShape(
        run.run,
        run.system,
        run.cluster,
        run.namespace,
        run.name,
        run.pipeline,
        run.queue,
        run.state,
        _times(run.at),
        _time(run.created),
        _time(run.started),
        _time(run.finished),
        run.attempts,
        run.restarts,
        run.preemptions,
        run.evictions,
        {name: took / 1_000_000 for name, took in run.phases.items()},
        run.reason,
        run.category,
        run.blame,
        run.labels,
    )


def delivery_json(delivery: Delivery) -> bytes:
    """One JSON object without a line break: the fields of `events -o json`, and `run`, which may be null."""
    return _encode(event_shape(delivery.event))[:-1] + _end(delivery.run)


def _end(run: Standing | None) -> bytes:
    """The end of a document, from the run on. Many events have the same run, the same object even: it is made once."""
    if run is None:
        return b',"run":null}'
    known = _ends.get(id(run))
    if known is not None and known[0] is run:
        return known[1]
    if len(_ends) >= _MOST_RUNS:
        _ends.clear()
    end = b',"run":%s}' % _encode(standing_shape(run))
    _ends[id(run)] = (run, end)
    return end
