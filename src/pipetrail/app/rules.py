"""What to record and to alert on in Prometheus, as data; files for Prometheus and its operator are made from it.

The counters behind these rules are in the journal and never go back, so they can be added up before anything is
derived: `increase` of a sum is right here. Each pipeline has its series at 0 before anything happens to it, so that its
first failure counts, too. Where one run tells enough the rules look at gauges: three preemptions with days between them
are no rate.

Rules take the greatest of several instances, so that a recorder that moved to another pod is no second one.
"""

from typing import Any, Literal

import msgspec

from pipetrail.app.skipping import REASON as SKIPPED
from pipetrail.stores.sqlite.writer import QUEUE_EVENTS

MANY = 3
"""So many failures of one kind are more than chance: in a day, in a row, or preemptions of one run."""

RUNBOOKS = "docs/reference/alerts.md"

_PIPELINE = "cluster, system, pipeline"
_SUM = "without (category, blame)"
_OF_RUNS = "without (system, pipeline, outcome, category, blame)"
_NAMED = 'pipeline!~"|other"'  # what has no name of its own is many pipelines

Severity = Literal["critical", "warning", "info"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A series that Prometheus computes. ``about`` says what it is."""

    name: str
    expr: str
    about: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. ``lasting``: for how long the expression must hold; ``do``: what to look at, for the page of docs."""

    name: str
    expr: str
    lasting: str
    severity: Severity
    summary: str
    description: str
    do: str

    @property
    def runbook(self) -> str:
        """Where the docs say what to do."""
        return f"{RUNBOOKS}#{self.name.lower()}"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that are evaluated together, in order."""

    name: str
    records: tuple[Record, ...] = ()
    alerts: tuple[Alert, ...] = ()


FINISHED = Record(
    name="pipeline:pipetrail_runs_finished:max",
    expr=f"max by ({_PIPELINE}, outcome) (sum {_SUM} (pipetrail_runs_finished_total)"
    f" - sum {_SUM} (pipetrail_runs_corrected_total))",
    about="runs that ended, by outcome, each once",
)
FAILED_DAY = Record(
    name="pipeline:pipetrail_runs_failed:increase1d",
    expr=f'sum by ({_PIPELINE}) (increase({FINISHED.name}{{outcome="Failed"}}[1d]))',
    about="runs that failed within a day",
)
FAILED_RATIO = Record(
    name="pipeline:pipetrail_runs_failed:ratio_increase1d",
    expr=f"{FAILED_DAY.name}"
    f' / (sum by ({_PIPELINE}) (increase({FINISHED.name}{{outcome=~"Failed|Succeeded"}}[1d])) > 0)',
    about="the share of runs that failed within a day, without those that were cancelled",
)
INFRASTRUCTURE = Record(
    name="cluster:pipetrail_infrastructure_failures:max",
    expr=f'max by (cluster) (sum {_OF_RUNS} (pipetrail_runs_finished_total{{outcome="Failed", blame="infrastructure"}})'
    f" or sum {_OF_RUNS} (pipetrail_runs_finished_total) * 0)",
    about="runs that the infrastructure made fail; 0 where there was none",
)
INFRASTRUCTURE_HOUR = Record(
    name="cluster:pipetrail_infrastructure_failures:increase1h",
    expr=f"increase({INFRASTRUCTURE.name}[1h])",
    about="of these, those within an hour",
)
INFRASTRUCTURE_USUAL = Record(
    name="cluster:pipetrail_infrastructure_failures:increase1h_mean1w",
    expr=f"increase({INFRASTRUCTURE.name}[1w] offset 1h) / {7 * 24} or {INFRASTRUCTURE.name} * 0",
    about="of these, those in an hour as it usually is; 0 where no week is known",
)

RUNS = Group(
    name="pipetrail-runs",
    records=(FINISHED, FAILED_DAY, FAILED_RATIO, INFRASTRUCTURE, INFRASTRUCTURE_HOUR, INFRASTRUCTURE_USUAL),
    alerts=(
        Alert(
            name="PipetrailPipelineFailing",
            expr=f"{FAILED_RATIO.name}{{{_NAMED}}} > 0.5 and {FAILED_DAY.name} > {MANY - 0.5}",
            lasting="5m",
            severity="warning",
            summary="{{ $labels.pipeline }} fails more often than it succeeds",
            description="{{ $value | humanizePercentage }} of the runs of {{ $labels.system }} pipeline"
            " {{ $labels.pipeline }} in {{ $labels.cluster }} failed within a day.",
            do="`pipetrail runs --since yesterday --state failed` lists the runs; `pipetrail why RUN` says for each"
            " whose turn it is.",
        ),
        Alert(
            name="PipetrailPipelineFailedInARow",
            expr=f"max by ({_PIPELINE}) (pipetrail_pipeline_failed_in_a_row{{{_NAMED}}}) >= {MANY}",
            lasting="0s",
            severity="warning",
            summary="{{ $labels.pipeline }} failed {{ $value }} times in a row",
            description="The last {{ $value }} runs of {{ $labels.system }} pipeline {{ $labels.pipeline }} in"
            " {{ $labels.cluster }} failed. The next good run ends this.",
            do="`pipetrail why RUN` for the last of them, then `pipetrail diff RUN`: it says what differs from the last"
            " good run.",
        ),
        Alert(
            name="PipetrailRunStuck",
            expr=f'max by ({_PIPELINE}) (pipetrail_runs{{state="Stuck"}}) > 0',
            lasting="5m",
            severity="warning",
            summary="{{ $value }} runs of {{ $labels.system }} are stuck",
            description="{{ $value }} runs of {{ $labels.system }} pipeline {{ $labels.pipeline }} in"
            " {{ $labels.cluster }} wait without a change.",
            do="`pipetrail runs --state stuck` lists them; `pipetrail why RUN` says what they wait for.",
        ),
        Alert(
            name="PipetrailRunZombie",
            expr=f'max by ({_PIPELINE}) (pipetrail_runs{{state="Zombie"}}) > 0',
            lasting="5m",
            severity="warning",
            summary="{{ $value }} runs of {{ $labels.system }} say that they run, and nothing of them does",
            description="{{ $value }} runs of {{ $labels.system }} pipeline {{ $labels.pipeline }} in"
            " {{ $labels.cluster }} have had no living pod for long. They may hold quota.",
            do="`pipetrail runs --state zombie` lists them. Look at the controller of that system, or delete the run.",
        ),
        Alert(
            name="PipetrailRunPreemptedAgain",
            expr=f"max by ({_PIPELINE}) (pipetrail_run_preemptions_most) >= {MANY}",
            lasting="0s",
            severity="warning",
            summary="A run of {{ $labels.system }} was preempted {{ $value }} times",
            description="A run of {{ $labels.system }} pipeline {{ $labels.pipeline }} in {{ $labels.cluster }} was"
            " preempted {{ $value }} times, and is not over.",
            do="`pipetrail why RUN` names who preempted it. Its priority or the quota of its queue is too low for its"
            " length.",
        ),
        Alert(
            name="PipetrailInfrastructureFailures",
            expr=f"{INFRASTRUCTURE_HOUR.name} > {MANY - 0.5}"
            f" and {INFRASTRUCTURE_HOUR.name} > 3 * {INFRASTRUCTURE_USUAL.name}",
            lasting="0s",
            severity="critical",
            summary="The infrastructure of {{ $labels.cluster }} makes more runs fail than usual",
            description="{{ $value | humanize }} runs in {{ $labels.cluster }} failed within an hour, and their"
            " verdicts blame nodes, network or storage: more than three times as many as usual.",
            do="`pipetrail runs --since 1h --state failed`, and `pipetrail nodes` for what they have in common.",
        ),
        Alert(
            name="PipetrailNodeSuspect",
            expr="max by (cluster) (pipetrail_nodes_suspect) > 0",
            lasting="0s",
            severity="warning",
            summary="{{ $value }} nodes of {{ $labels.cluster }} hurt several runs",
            description="The verdicts on two runs or more of the last day are about the same node, for {{ $value }}"
            " nodes of {{ $labels.cluster }}.",
            do="`pipetrail nodes` names them. Cordon and drain what stands out there.",
        ),
    ),
)

RECORDER = Group(
    name="pipetrail-recorder",
    alerts=(
        Alert(
            name="PipetrailGone",
            expr="absent(pipetrail_ready)",
            lasting="5m",
            severity="critical",
            summary="No recorder is running",
            description="Nobody was heard of for 5 minutes. After an hour the cluster forgets its Events for good.",
            do="Start `pipetrail record` again. Within an hour nothing is lost; if it does not start, it says why.",
        ),
        Alert(
            name="PipetrailBlind",
            expr="pipetrail_ready == 0",
            lasting="5m",
            severity="critical",
            summary="The recorder does not see all of its clusters",
            description="{{ $labels.instance }} is blind to something for 5 minutes. Its /readyz says to what.",
            do="Ask `/readyz`, or `pipetrail status`: it names the source and the reason.",
        ),
        Alert(
            name="PipetrailCannotWrite",
            expr="increase(pipetrail_journal_failures_total[10m]) > 0",
            lasting="0s",
            severity="critical",
            summary="The journal can't be written",
            description="{{ $labels.instance }} failed to write its journal and tries again. Is its disk full?",
            do="Make room on the disk, or lower `--max-size`. What waits is written then.",
        ),
        Alert(
            name="PipetrailBehind",
            expr=f"min_over_time(pipetrail_journal_pending[5m]) > {QUEUE_EVENTS // 2}",
            lasting="0s",
            severity="warning",
            summary="Events come faster than they are stored",
            description="At least {{ $value }} events have waited for the journal of {{ $labels.instance }} all the"
            " time for 5 minutes.",
            do="Look at the disk's latency: `pipetrail_journal_commit_seconds` is how long the last transaction took.",
        ),
        Alert(
            name="PipetrailMissingRight",
            expr='pipetrail_source_state{state="forbidden"} == 1',
            lasting="15m",
            severity="warning",
            summary="No right to read {{ $labels.resource }} of {{ $labels.cluster }}",
            description="{{ $labels.resource }} of {{ $labels.cluster }} can't be recorded for want of a right.",
            do="Apply the roles of deploy/rbac.yaml; `pipetrail status` names what is missing.",
        ),
        Alert(
            name="PipetrailGap",
            expr="sum by (cluster, reason) (increase("
            f'pipetrail_gaps_total{{loss="possible", reason!="{SKIPPED}"}}[1h])) > 0',
            lasting="0s",
            severity="info",
            summary="A source of {{ $labels.cluster }} was blind for a while",
            description="The history of {{ $labels.cluster }} has a hole ({{ $labels.reason }}): changes may be"
            " missing.",
            do="`pipetrail status` says which source, when, and whether it matters.",
        ),
    ),
)

SINKS = Group(
    name="pipetrail-sinks",
    alerts=(
        Alert(
            name="PipetrailSinkBehind",
            expr='pipetrail_sink_lag_seconds > 300 unless ignoring (state) pipetrail_sink_state{state="stopped"} == 1',
            lasting="10m",
            severity="warning",
            summary="{{ $labels.sink }} gets events {{ $value | humanizeDuration }} late",
            description="The oldest event that sink {{ $labels.sink }} does not have yet waits for"
            " {{ $value | humanizeDuration }}. Nothing is lost as long as the journal keeps it.",
            do="`pipetrail sinks` shows the last error; `pipetrail sinks test NAME` asks the receiver.",
        ),
        Alert(
            name="PipetrailSinkDeadLetters",
            expr="pipetrail_sink_dead_letters > 0",
            lasting="0s",
            severity="warning",
            summary="{{ $value }} events can't be sent to {{ $labels.sink }}",
            description="The receiver of sink {{ $labels.sink }} refuses {{ $value }} events for what is in them.",
            do="`pipetrail sinks dead-letters NAME list` says why for each; `retry` or `drop` them.",
        ),
        Alert(
            name="PipetrailSinkFull",
            expr='pipetrail_sink_state{state="full"} == 1',
            lasting="0s",
            severity="critical",
            summary="{{ $labels.sink }} stands still: too many dead letters",
            description="Sink {{ $labels.sink }} has as many dead letters as it may have, and sends nothing more.",
            do="Look at the dead letters as for PipetrailSinkDeadLetters; it goes on as soon as there is room.",
        ),
        Alert(
            name="PipetrailSinkSkipped",
            expr="increase(pipetrail_sink_skipped_total[1h]) > 0",
            lasting="0s",
            severity="warning",
            summary="The journal dropped events before {{ $labels.sink }} had them",
            description="{{ $value | humanize }} events were pruned within an hour before sink {{ $labels.sink }} was"
            " sent them.",
            do="Keep more history (`--max-size`, `--max-age`), or see why the sink lags.",
        ),
    ),
)

GROUPS = (RUNS, RECORDER, SINKS)
"""All rules."""


def document() -> dict[str, Any]:
    """The rules as Prometheus reads them from a file."""
    return {"groups": [_group(group) for group in GROUPS]}


def prometheus_rule() -> dict[str, Any]:
    """The rules as the object that the Prometheus operator takes."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "pipetrail", "labels": {"app.kubernetes.io/name": "pipetrail"}},
        "spec": document(),
    }


def _group(group: Group) -> dict[str, Any]:
    records = [{"record": record.name, "expr": record.expr} for record in group.records]
    alerts = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            **({"for": alert.lasting} if alert.lasting != "0s" else {}),
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.description, "runbook": alert.runbook},
        }
        for alert in group.alerts
    ]
    return {"name": group.name, "rules": [*records, *alerts]}
