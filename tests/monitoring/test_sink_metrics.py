"""What Prometheus is shown of the sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipetrail.app.metrics import Metrics, text
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.app.sink_metrics import STATES, sink_metrics
from pipetrail.model.times import SECOND
from pipetrail.sinks.figures import FAILURES, SinkFigures
from pipetrail.testing.strategies import START
from tests.monitoring.counted import Shown

if TYPE_CHECKING:
    from pathlib import Path


def shown(*figures: SinkFigures, last: int = 100) -> Shown:
    return Shown(text(sink_metrics(figures, last, START)).decode())


def test_a_sink_has_all_its_series_before_anything_happens() -> None:
    found = shown(SinkFigures(name="os", type="opensearch"))

    for word in FAILURES:
        assert found.value("pipetrail_sink_failures_total", sink="os", failure=word) == 0
    assert sorted(found.values("pipetrail_sink_state", sink="os")) == [0.0] * (len(STATES) - 1) + [1.0]
    assert found.value("pipetrail_sink_sent_total", sink="os") == 0
    assert found.value("pipetrail_sink_dead_lettered_total", sink="os") == 0


def test_the_lag_is_what_is_not_settled_and_how_long_the_oldest_of_it_waits() -> None:
    figures = SinkFigures(name="os", type="opensearch", read=90, unsettled=5, oldest_at=START - 7 * SECOND)

    found = shown(figures)

    assert found.value("pipetrail_sink_lag_events", sink="os") == 15
    assert found.value("pipetrail_sink_lag_seconds", sink="os") == 7


def test_what_was_counted_is_shown() -> None:
    figures = SinkFigures(name="os", type="opensearch", state="full", dead_letters=3, dead_letters_ever=8)
    figures.count_sent(12, START)
    figures.count_failure("tls", "no trust", START)

    found = shown(figures)

    assert found.value("pipetrail_sink_sent_total", sink="os") == 12
    assert found.value("pipetrail_sink_failures_total", sink="os", failure="tls") == 1
    assert found.value("pipetrail_sink_state", sink="os", state="full") == 1
    assert found.value("pipetrail_sink_dead_letters", sink="os") == 3
    assert found.value("pipetrail_sink_dead_lettered_total", sink="os") == 8
    assert "no trust" not in found.text


async def test_a_broken_file_of_the_sinks_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "j.db.sinks").write_bytes(b"no database at all" * 100)
    recorder = Recorder(RecorderOptions(journal=str(tmp_path / "j.db")), [], now=lambda: START)
    await recorder.writer.start()
    try:
        found = Shown((await Metrics(recorder).scrape()).decode())
    finally:
        await recorder.writer.stop()

    assert found.value("pipetrail_ready") == 1
    assert found.value("pipetrail_tally_pending") == 0
