"""Events as code, run for real: the examples and what goes wrong, against a cluster that forgets Events.

The stories are run once, two at a time, for all tests: most of their time is waiting for the cluster to forget.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cluster.controlplane import ControlPlane
from tests.cluster import rights
from tests.cluster.recording import ROOT, Recording, run
from tests.cluster.stories import NAMESPACE, Scene, Story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.engine import Engine, Stack
    from pipetrail.model import Event

pytestmark = pytest.mark.timeout(900)  # the stories take 70 s, twice that on a busy machine

UNTOUCHED = "untouched"
NAME = "ml-pipeline-event-001"
TTL = "15s"
PROMPT_SECONDS = 10.0
EXAMPLES = ROOT / "examples"
DECLARED = (EXAMPLES / "declared" / "__main__.py").read_text()
IMAGE = "registry.example.com/fraud-model:2"

PLAIN = """
import pulumi_kubernetes as kubernetes

kubernetes.core.v1.Event(
    "plain",
    metadata={"name": "plain-event", "namespace": "machine-learning"},
    involved_object={"apiVersion": "v1", "kind": "Pod", "namespace": "machine-learning", "name": "x"},
    reason="PipelineExecution",
    message="first",
)
"""
ABOUT_A_POD = """
import pulumi
import pulumi_kubernetes as kubernetes

from pipetrail.pulumi import PipelineEvent

pod = kubernetes.core.v1.Pod(
    "trainer",
    metadata={"name": "trainer", "namespace": "machine-learning"},
    spec={"containers": [{"name": "main", "image": "train"}]},
)
event = PipelineEvent("promoted", about=pod, reason="ModelPromoted", message="fraud:2 is the one to serve")

pulumi.export("pod_uid", pod.metadata.apply(lambda found: found.uid))
pulumi.export("event_uid", event.event_uid)
"""
BAD = """
import pulumi

from pipetrail.pulumi import PipelineEvent

PipelineEvent("good", about="untouched/pod/x", reason="Trigger", message="")
PipelineEvent("bad", about="untouched/pod/x", reason=REASON, message="")
"""


@pytest.fixture(scope="module")
def scene(engine: Engine, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ControlPlane(tmp_path_factory.mktemp("forgetful"), programs=programs, event_ttl=TTL) as cluster:
        cluster.add_nodes(1)
        for name in (NAMESPACE, UNTOUCHED):
            cluster.create_namespace(name)
        with closing(cluster.client()) as admin:
            account = rights.grant_all(cluster, admin)
            with Recording(tmp_path_factory.mktemp("recording"), account.kubeconfig) as recording:
                recording.wait_ready()
                yield Scene(engine, cluster, recording, tmp_path_factory.mktemp("stacks"))


@pytest.fixture(scope="module")
def stories(scene: Scene) -> dict[str, Story]:
    """All of them, by name."""
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(begin_declared, scene)
        others = pool.submit(tell_others, scene)
        stack, declared = begun.result()
        told = others.result()
    end_declared(scene, stack, declared)
    return told | {"declared": declared}


def begin_declared(scene: Scene) -> tuple[Stack, Story]:
    """examples/declared, with another message now and then, until it is made a second time."""
    story = Story()
    stack = scene.stack("declared", EXAMPLES / "declared" / "__main__.py", project="ml-pipeline-event")

    scene.up(story, "first", stack)
    returned = time.monotonic()
    scene.recording.wait(lambda: scene.facts(NAME), PROMPT_SECONDS)
    story.seen["seconds to journal"] = time.monotonic() - returned
    story.outputs = stack.outputs()
    scene.up(story, "again", stack)
    story.facts["again"] = scene.all_facts(NAME)

    stack.write(DECLARED.replace("is triggered", "was changed while there"))
    scene.up(story, "changed while there", stack)
    story.facts["changed while there"] = scene.all_facts(NAME)

    scene.wait_forgotten(NAME)
    stack.write(DECLARED.replace("is triggered", "was changed when gone"))
    scene.up(story, "changed when gone", stack)
    story.facts["changed when gone"] = scene.all_facts(NAME)

    scene.wait_forgotten(NAME)
    scene.up(story, "refreshed", stack, refresh=True)
    story.seen["uid when refreshed"] = scene.uid(NAME)
    story.facts["refreshed"] = scene.all_facts(NAME)
    return stack, story


def end_declared(scene: Scene, stack: Stack, story: Story) -> None:
    """The recorder is started again, and the other API takes over."""
    scene.recording.stop()
    scene.recording.start()
    scene.recording.wait_ready()
    story.facts["restarted"] = scene.all_facts(NAME)

    text = DECLARED.replace("is triggered", "was changed when gone")
    stack.write(text.replace("    reason=", '    api="events.k8s.io/v1",\n    reason='))
    scene.up(story, "other api", stack)
    story.seen["uid in the other api"] = scene.uid(NAME)
    story.facts["other api"] = scene.all_facts(NAME)
    journal = f"--journal={scene.recording.journal}"
    shown = run("events", journal, "-n", NAMESPACE, "--origin=kubernetes", "-o", "json")
    story.seen["shown"] = [json.loads(line) for line in shown.stdout.splitlines()]


def tell_others(scene: Scene) -> dict[str, Story]:
    """The other stories, one after the other."""
    triggered, plain, pod, bad = Story(), Story(), Story(), Story()
    deploys = scene.stack("triggered", EXAMPLES / "triggered" / "__main__.py", project="model-deploys")
    scene.up(triggered, "first", deploys)
    scene.up(triggered, "again", deploys)
    triggered.facts["again"] = scene.all_facts("deploy-")
    deploys.run("config", "set", "image", IMAGE).check()
    scene.up(triggered, "changed", deploys)
    triggered.facts["changed"] = scene.all_facts("deploy-")
    triggered.outputs = deploys.outputs()

    core = scene.stack("plain", PLAIN)
    scene.up(plain, "first", core)

    about = scene.stack("pod", ABOUT_A_POD)
    pod.results["previewed"] = about.preview()
    scene.up(pod, "first", about)
    pod.outputs = about.outputs()
    pod.facts["first"] = scene.all_facts("promoted-")
    scene.up(pod, "again", about)

    wrong = scene.stack("bad", BAD.replace("REASON", '129 * "R"'))
    bad.results["preview"] = wrong.preview()
    bad.results["up"] = wrong.run("up", "--yes")  # which looks before it does anything, unless told not to
    wrong.write(BAD.replace("REASON", 'pulumi.Output.from_input(129 * "R")'))
    bad.results["preview of an output"] = wrong.preview()
    bad.seen["events"] = scene.cluster.request("GET", f"/api/v1/namespaces/{UNTOUCHED}/events")["items"]
    wrong.write(DECLARED.replace("machine-learning/", "nowhere-at-all/"))
    bad.results["preview without a namespace"] = wrong.preview()

    scene.wait_forgotten("plain-event")
    core.write(PLAIN.replace('"first"', '"second"'))
    scene.up(plain, "changed when gone", core)

    for name in triggered.outputs["event_names"].values():
        scene.wait_forgotten(name)
    triggered.results["destroyed when gone"] = deploys.destroy()
    return {"triggered": triggered, "plain": plain, "pod": pod, "bad": bad}


def messages(facts: list[Event]) -> list[str]:
    return [event.message for event in facts]


@pytest.fixture(scope="module")
def declared(stories: dict[str, Story]) -> Story:
    return stories["declared"]


@pytest.fixture(scope="module")
def triggered(stories: dict[str, Story]) -> Story:
    return stories["triggered"]


@pytest.fixture(scope="module")
def bad(stories: dict[str, Story]) -> Story:
    return stories["bad"]


# --- examples/declared

FIRST = "Machine Learning pipeline is triggered"
THREE = [FIRST, "Machine Learning pipeline was changed while there", "Machine Learning pipeline was changed when gone"]


def test_up_exports_the_name_and_the_namespace(declared: Story) -> None:
    assert declared.results["first"].changes == {"created": 3}  # the stack and the component count as one each
    assert declared.outputs == {"event_name": NAME, "event_namespace": NAMESPACE}


def test_the_declared_event_is_in_the_journal_soon_after_up_has_returned(declared: Story) -> None:
    seconds = declared.seen["seconds to journal"]
    print(f"up took {declared.results['first'].seconds:.1f} s; in the journal {seconds:.3f} s after it had returned")

    assert seconds < PROMPT_SECONDS


def test_a_second_up_changes_nothing(declared: Story) -> None:
    assert declared.results["again"].changes == {"unchanged": 3}
    assert messages(declared.facts["again"]) == [FIRST]


def test_the_fact_says_what_was_declared(declared: Story) -> None:
    (event,) = declared.facts["again"]

    assert (event.reason, event.action, event.type) == ("PipelineExecution", "PipelineExecution", "Normal")
    assert (event.reporter, event.count) == ("ml-pipeline-scheduler", 1)
    assert (event.about.kind, event.about.namespace, event.about.name) == ("Pod", NAMESPACE, "my-ml-pipeline-pod")


def test_a_changed_message_is_a_second_fact(declared: Story) -> None:
    assert declared.results["changed while there"].ok
    assert messages(declared.facts["changed while there"]) == THREE[:2]


def test_a_changed_message_succeeds_after_the_event_is_gone(declared: Story) -> None:
    assert declared.results["changed when gone"].ok, declared.results["changed when gone"].text
    assert messages(declared.facts["changed when gone"]) == THREE


def test_a_plain_event_can_not_be_changed_after_it_is_gone(stories: dict[str, Story]) -> None:
    changed = stories["plain"].results["changed when gone"]

    assert not changed.ok
    assert 'events "plain-event" not found' in changed.text


def test_each_fact_happened_when_it_was_declared(declared: Story) -> None:
    windows = [declared.windows[word] for word in ("first", "changed while there", "changed when gone")]
    facts = declared.facts["changed when gone"]

    assert [since <= event.at <= until for event, (since, until) in zip(facts, windows, strict=True)] == 3 * [True]


def test_up_with_refresh_makes_the_event_again(declared: Story) -> None:
    before = declared.facts["changed when gone"][-1].source
    assert before is not None

    assert declared.results["refreshed"].changes["created"] == 1
    assert declared.seen["uid when refreshed"] != before.uid


def test_an_event_that_is_made_again_is_no_other_fact(declared: Story) -> None:
    assert messages(declared.facts["refreshed"]) == THREE


def test_it_is_no_other_fact_after_a_restart_of_the_recorder_either(declared: Story) -> None:
    assert messages(declared.facts["restarted"]) == THREE


def test_the_same_content_through_the_other_api_is_no_other_fact(declared: Story) -> None:
    assert declared.results["other api"].ok, declared.results["other api"].text
    assert declared.seen["uid in the other api"] != declared.seen["uid when refreshed"]
    assert messages(declared.facts["other api"]) == THREE


def test_pipetrail_shows_each_fact_once(declared: Story) -> None:
    shown = [line["message"] for line in declared.seen["shown"] if line["source"]["name"] == NAME]

    assert sorted(shown) == sorted(THREE)


# --- examples/triggered


def test_both_facts_are_on_the_timeline_and_an_up_without_a_change_adds_none(triggered: Story) -> None:
    assert triggered.results["first"].changes == {"created": 6}
    assert triggered.results["again"].changes == {"unchanged": 6}
    assert sorted(messages(triggered.facts["again"])) == [
        "deploying registry.example.com/fraud-model:1",
        "the model answers",
    ]


def test_a_changed_image_tells_both_facts_anew(triggered: Story) -> None:
    assert triggered.results["changed"].ok
    assert sorted(messages(triggered.facts["changed"])) == [
        "deploying registry.example.com/fraud-model:1",
        f"deploying {IMAGE}",
        "the model answers",
        "the model answers",
    ]


def test_the_facts_are_marked_with_their_run(triggered: Story) -> None:
    marks = {event.marks.get("pipetrail.dev/run") for event in triggered.facts["changed"]}

    assert marks == {"fraud-model-rollout"}


def test_destroy_succeeds_when_the_events_are_gone(triggered: Story) -> None:
    assert triggered.results["destroyed when gone"].changes == {"deleted": 6}


# --- About a resource of the program


def test_an_event_about_a_pod_of_the_program_names_its_uid(stories: dict[str, Story]) -> None:
    story = stories["pod"]
    (event,) = story.facts["first"]

    assert (event.about.kind, event.about.name) == ("Pod", "trainer")
    assert event.about.uid == story.outputs["pod_uid"]


def test_a_preview_takes_a_pod_that_has_no_uid_yet(stories: dict[str, Story]) -> None:
    assert stories["pod"].results["previewed"].changes == {"to create": 4}


def test_the_output_is_the_uid_of_the_event(stories: dict[str, Story]) -> None:
    story = stories["pod"]
    (event,) = story.facts["first"]
    assert event.source is not None

    assert story.outputs["event_uid"] == event.source.uid


def test_an_up_without_a_change_leaves_the_pod_and_its_event_alone(stories: dict[str, Story]) -> None:
    assert stories["pod"].results["again"].changes == {"unchanged": 4}


# --- What goes wrong


@pytest.mark.parametrize("command", ["preview", "preview of an output", "up"])
def test_a_reason_that_is_too_long_is_one_clear_line(bad: Story, command: str) -> None:
    said = bad.results[command].text.partition("Diagnostics:")[2]

    assert not bad.results[command].ok
    assert said.count("bad: reason: it has 129 bytes, and the API server takes 128 at most; shorten it") == 1
    assert "Traceback" not in bad.results[command].text
    assert "never retrieved" not in bad.results[command].text


def test_nothing_is_made_when_one_of_two_events_is_bad(bad: Story) -> None:
    assert bad.seen["events"] == []


def test_a_preview_warns_of_a_namespace_that_does_not_exist(bad: Story) -> None:
    result = bad.results["preview without a namespace"]

    assert result.ok
    assert "warning: namespace nowhere-at-all does not exist in the cluster" in result.text
