"""The users' own story: what happens in a cluster is in their search, their Prometheus and their Alertmanager.

With the real parts of all of it, and the files of examples/monitoring. docs/how-to/monitoring.md tells it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cluster import alertmanager, build, prometheus
from cluster.controlplane import ControlPlane
from cluster.engine import Engine, Stack
from pipetrail.config import load
from pipetrail.model.times import parse_time
from tests.cluster import rights
from tests.cluster.monitoring import EXAMPLES, SCRAPE_SECONDS, Monitoring
from tests.cluster.recording import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "how-to" / "monitoring.md"
NAMESPACE = "machine-learning"
SEED = ROOT.parent / "shared" / "seed" / "program.py"
DECLARED = ROOT / "examples" / "declared" / "__main__.py"

# What is promised, in seconds. It is printed how long each took; a test fails when it takes ten times as long.
SHOWN = 1.0  # on the timeline
SEARCHED = 5.0 + 1.0  # found by a search: 5 s, and the second until the index is refreshed
COUNTED = 1  # scrapes until it is counted
ALERTED = 2.0  # from the verdict to the alert
MORE = 10


@pytest.fixture(scope="module")
def search_server() -> Path:
    """The built search server, where the other programs that the story needs are here, too."""
    found = build.built(build.OPENSEARCH)
    if found is None:
        pytest.skip("OpenSearch not built (cluster/build.py opensearch builds it)")
    if prometheus.installed() is None:
        pytest.skip("Prometheus not here (apt-get install prometheus)")
    if alertmanager.installed() is None:
        pytest.skip("Alertmanager not installed (apt: prometheus-alertmanager)")
    return found / "plain"


@pytest.fixture(scope="module")
def lab(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane in which nothing else happens."""
    with ControlPlane(tmp_path_factory.mktemp("lab"), programs=programs) as running:
        running.add_nodes(2)
        running.create_namespace(NAMESPACE)
        yield running


@pytest.fixture(scope="module")
def monitoring(
    lab: ControlPlane, search_server: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitoring]:
    """Everything of the page, running; at the end the recorder ends in order, and nothing of it is left."""
    with closing(lab.client()) as admin:
        account = rights.grant_all(lab, admin)
    directory = tmp_path_factory.mktemp("monitoring")
    with Monitoring(directory, account.kubeconfig, search_server) as running:
        yield running
        assert running.recording.stop() == 0
    assert processes(directory) == []


@pytest.mark.parametrize("program", [SEED, DECLARED], ids=["seed", "component"])
def test_a_declared_event_is_shown_found_and_counted(
    program: Path, engine: Engine, lab: ControlPlane, monitoring: Monitoring, tmp_path: Path
) -> None:
    if not program.is_file():
        pytest.skip("shared seed not here")
    stack = Stack(engine, tmp_path / "stack", program, lab.kubeconfig())
    counter = 'pipetrail_events_total{cluster="lab", reason="other", severity="info"}'

    with monitoring.follow(f"--namespace={NAMESPACE}") as followed, ThreadPoolExecutor(1) as beside:
        begun = time.time()
        up = beside.submit(stack.up)
        uid = lab.wait(lambda: declared(lab), 180)
        made = time.time()
        (shown, line), *_ = monitoring.wait(
            lambda: followed.matching(lambda line: (line["source"] or {}).get("uid") == uid), MORE * SHOWN
        )
        index = f"pipetrail-events-{line['at'][:10].replace('-', '.')}"
        monitoring.wait(lambda: monitoring.is_taken(index, line["id"]), MORE * SEARCHED)
        taken = time.time()
        (found,) = monitoring.wait(
            lambda: monitoring.hits("pipetrail-events-*", **{"pipetrail.source.uid": uid}), MORE * SEARCHED
        )
        searched = time.time()
        scrapes = monitoring.wait(
            lambda: scrapes_until_counted(monitoring, counter, begun, made), MORE * SCRAPE_SECONDS
        )
        took = up.result().check().seconds
    stack.destroy().check()

    say("pulumi up took", took)
    say("shown by pipetrail events after the Event was there", shown - made, SHOWN)
    say("taken by OpenSearch", taken - made)
    say("found by a search", searched - made, SEARCHED)
    print(f"counted by Prometheus at scrape {scrapes} after it (promised: {COUNTED})")
    assert line["reason"] == found["event"]["reason"] == "PipelineExecution"
    assert line["message"] == found["message"] == "Machine Learning pipeline is triggered"
    assert line["cluster"] == found["orchestrator"]["cluster"]["name"] == "lab"
    assert line["id"] == found["event"]["id"]
    assert shown - made < MORE * SHOWN
    assert searched - made < MORE * SEARCHED
    assert scrapes <= MORE * COUNTED


def test_a_failing_job_is_an_alert_with_cause_blame_and_remedy_until_the_next_good_run(
    lab: ControlPlane, monitoring: Monitoring, tmp_path: Path
) -> None:
    failures = 'pipetrail_runs_finished_total{outcome="Failed", pipeline="train-nightly", category="oom"}'
    lab.apply(EXAMPLES / "train.yaml")

    with monitoring.follow(f"--namespace={NAMESPACE}") as followed:
        begun = time.time()
        failed = run_job(lab, "train-1", "Failed")
        monitoring.wait(monitoring.alerts, 60)
        alerted = time.time()
        (_, first), *_ = monitoring.wait(lambda: followed.matching(lambda line: line["origin"] == "verdict"), 60)
        judged = parse_time(first["observed_at"]) / 1e6
        monitoring.wait(lambda: "FIRING" in monitoring.told(), 60)
        told_firing = time.time()
        (why,) = monitoring.asked("why", "train-1")
        scrapes = monitoring.wait(
            lambda: scrapes_until_counted(monitoring, failures, begun, judged), MORE * SCRAPE_SECONDS
        )
        # As it is now, that is with the last verdict, if there was a better one.
        (alert,) = monitoring.alerts()
        verdict = {"event.id": alert["annotations"]["verdict"]}
        (found,) = monitoring.wait(lambda: monitoring.hits("pipetrail-events-*", **verdict), 60)

        good = tmp_path / "good.yaml"
        good.write_text((EXAMPLES / "train.yaml").read_text().replace("outcome: oom", "outcome: complete"))
        lab.apply(good)
        ended = run_job(lab, "train-2", "Complete")
        monitoring.wait(lambda: not monitoring.alerts(), 60)
        resolved = time.time()
        monitoring.wait(lambda: "RESOLVED" in monitoring.told(), 60)
        told_resolved = time.time()

    say("verdict after the Job had failed", judged - failed)
    say("alert after the verdict", alerted - judged, ALERTED)
    say("people told after the Job had failed", told_firing - failed)
    print(f"counted by Prometheus at scrape {scrapes} after the verdict (promised: {COUNTED})")
    say("alert resolved after the next Job had succeeded", resolved - ended)
    say("people told of that after it", told_resolved - ended)
    labels, notes = alert["labels"], alert["annotations"]
    assert labels == {
        "alertname": "PipetrailRunFailing",
        "cluster": "lab",
        "namespace": NAMESPACE,
        "pipeline": "train-nightly",
        "severity": "critical",
        "system": "job",
        "team": "ml-platform",
    }
    assert (notes["run"], notes["reason"], notes["blame"]) == ("train-1", "OOMKilled", "configuration")
    assert notes["cause"] == why["cause"]["title"]
    assert notes["remedy"] == why["remedy"]
    assert (found["event"]["kind"], found["pipetrail"]["blame"]) == ("alert", "configuration")
    assert monitoring.told().count("FIRING") == monitoring.told().count("RESOLVED") == 1
    assert alerted - judged < MORE * ALERTED
    assert scrapes <= MORE * COUNTED
    runs = monitoring.wait(lambda: both_ended(monitoring), 60)
    assert runs == {"train-1": "Failed", "train-2": "Succeeded"}
    assert [(sink["dead_letters"], sink["last_error"]) for sink in monitoring.sinks()] == [(0, ""), (0, "")]


def test_the_examples_have_no_mistakes() -> None:
    for program, command in (
        ("promtool", ["promtool", "check", "config", "--syntax-only", str(EXAMPLES / "prometheus.yml")]),
        ("amtool", ["amtool", "check-config", str(EXAMPLES / "alertmanager.yml")]),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"{program} not installed")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(load(str(EXAMPLES / "pipetrail.yaml"), sinks=True).sinks) == ["alerts", "search"]


def test_the_page_shows_the_configuration_that_is_tried() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    assert [yaml.safe_load(text) for text in shown] == [yaml.safe_load((EXAMPLES / "pipetrail.yaml").read_text())]


def processes(directory: Path) -> list[str]:
    """The commands that run with a file of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if str(directory) in command]


def say(what: str, seconds: float, promised: float | None = None) -> None:
    """Print how long something took, for whoever reads the output of the tests (`-rP` shows it)."""
    print(f"{what}: {seconds:.2f} s" + (f" (promised: {promised:g} s)" if promised is not None else ""))


def declared(lab: ControlPlane) -> str:
    """The uid of the Event that a program declared; empty while the cluster has none."""
    found = lab.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=reason=PipelineExecution")
    return next((str(event["metadata"]["uid"]) for event in found["items"]), "")


def run_job(lab: ControlPlane, name: str, condition: str) -> float:
    """Run the CronJob once, as people do, until its Job is in this state; returns when it was (in seconds)."""
    lab.kubectl("create", "job", "--from=cronjob/train-nightly", name, f"--namespace={NAMESPACE}")

    def over() -> bool:
        status: dict[str, Any] = lab.request("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}")["status"]
        return any(one["type"] == condition and one["status"] == "True" for one in status.get("conditions", ()))

    lab.wait(over, 60)
    return time.time()


def scrapes_until_counted(monitoring: Monitoring, counter: str, begun: float, known: float) -> int:
    """The number of the scrape after it was known that first shows more than there was before it began; 0: none yet.

    Both moments are in seconds. It is 1 also where a scrape was quicker than the test was to know.
    """
    samples = monitoring.samples(counter)
    before = next((value for at, value in reversed(samples) if at < begun), 0.0)
    counted = next((at for at, value in samples if at >= begun and value > before), None)
    if counted is None:
        return 0
    return max(1, sum(known <= at <= counted for at, _ in monitoring.samples("pipetrail_ready")))


def both_ended(monitoring: Monitoring) -> dict[str, str]:
    """How the runs stand in the search, by name, when both are over."""
    runs = monitoring.hits("pipetrail-runs", **{"pipetrail.run.pipeline": "train-nightly"})
    found = {one["pipetrail"]["run"]["name"]: one["pipetrail"]["run"]["state"] for one in runs}
    return found if sorted(found.values()) == ["Failed", "Succeeded"] else {}
