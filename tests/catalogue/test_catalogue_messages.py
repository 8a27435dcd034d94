"""Messages name their causes: each example its own, hostile ones nothing, and all of them soon."""

import time

import pytest

from pipetrail.catalogue import Catalogue, filled, load
from pipetrail.catalogue.types import Row

GROUPS = load().messages
EXAMPLES = [
    pytest.param(group.reasons[0], row, id=f"{group.reasons[0]}-{row.cause}") for group in GROUPS for row in group.rows
]
REASONS = sorted({reason for group in GROUPS for reason in group.reasons})

# What patterns with unbounded or nested repeats take for ever on.
HOSTILE = {
    "one letter": "a" * 200_000,
    "quotes": 'image "' * 30_000,
    "names that never end": 'name "x' * 30_000,
    "counts": "1 " * 100_000,
    "taints": "1 node(s) had untolerated taint {" * 6_000,
    "clauses": "1 Insufficient nvidia.com/mig-" + "1g." * 60_000,
    "the same clause": "4 Insufficient cpu, " * 10_000,
    "pulls": 'failed to pull and unpack image "x": ' * 5_000,
    "white space": "Killed" + " " * 200_000 + "x",
    "killed again and again": "Killed    " * 20_000 + "x",
    "nccl": "NCCL " * 40_000,
    "workers": "DataLoader worker " * 10_000,
    "mounts": "MountVolume.SetUp failed for volume " * 6_000,
    "buckets": "mountpoint " * 20_000,
    "quotas": "exceeded quota: a, requested: " * 7_000,
    "quota lists": "exceeded quota: a, requested: " + "b" * 200_000,
    "maxima": "maximum " * 25_000 + "volum",
    "users": 'is forbidden: User "' * 10_000,
    "lookups": "lookup a" * 25_000 + "no such host",
    "gangs": "1/1" * 60_000 + " tasks in gang unschedulable",
    "ipam": "IPAM " * 40_000,
    "dials": "dial unix " * 20_000 + "cni",
    "digits": "9" * 200_000 + " Insufficient cpu",
    "usage": "low on resource: memory. available: " * 6_000,
    "containers": "Container main was using " * 8_000,
    "unmounted": "unmounted volumes=[" * 10_000,
    "every letter": "".join(map(chr, range(0x20, 0x3000))) * 10,
    "nul": "\0" * 200_000,
    "lines": "x\n" * 100_000,
}


@pytest.mark.parametrize(("reason", "row"), EXAMPLES)
def test_an_example_names_its_own_cause_and_no_other(known: Catalogue, reason: str, row: Row) -> None:
    found = {cause.id for cause, _ in known.sub_causes(reason, row.example)}

    assert row.example
    assert found == {row.cause, *row.also}


def test_an_example_is_not_shared(known: Catalogue) -> None:
    examples = [row.example for group in known.messages for row in group.rows]

    assert len(examples) == len(set(examples))


@pytest.mark.parametrize(
    ("reason", "message", "fields"),
    [
        (
            "FailedCreate",
            'pods "x" is forbidden: exceeded quota: gpu-quota, requested: requests.nvidia.com/gpu=8, '
            "used: requests.nvidia.com/gpu=24, limited: requests.nvidia.com/gpu=24",
            {
                "quota": "gpu-quota",
                "requested": "requests.nvidia.com/gpu=8",
                "used": "requests.nvidia.com/gpu=24",
                "limited": "requests.nvidia.com/gpu=24",
            },
        ),
        (
            "Failed",
            'Failed to pull image "registry.example/ml/train:v9": rpc error: code = NotFound desc = '
            "registry.example/ml/train:v9: not found",
            {"image": "registry.example/ml/train:v9"},
        ),
        (
            "Evicted",
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61212Ki. Container main was "
            "using 31Gi, request is 8Gi, has larger consumption of memory. ",
            {"available": "61212Ki", "container": "main", "using": "31Gi", "request": "8Gi"},
        ),
        (
            "UnexpectedAdmissionError",
            "requested number of devices unavailable for nvidia.com/gpu. Requested: 8, Available: 7, which is bad",
            {"resource": "nvidia.com/gpu", "requested": "8", "free": "7"},
        ),
        (
            "Failed",
            "Error: couldn't find key HF_TOKEN in Secret team-a/hf-token",
            {"key": "HF_TOKEN", "kind": "Secret", "name": "team-a/hf-token"},
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "cfg" : configmap "train-cfg" not found',
            {"kind": "configmap", "name": "train-cfg"},
        ),
        (
            "Unhealthy",
            'Startup probe failed: Get "http://10.0.3.7:8080/": dial tcp 10.0.3.7:8080: connect: connection refused',
            {"probe": "Startup"},
        ),
    ],
)
def test_a_message_gives_its_fields(known: Catalogue, reason: str, message: str, fields: dict[str, str]) -> None:
    assert [found for _, found in known.sub_causes(reason, message)] == [fields]


def test_all_clauses_of_a_scheduler_s_message_are_found_with_their_counts(known: Catalogue) -> None:
    message = (
        "0/20 nodes are available: 12 node(s) didn't match Pod's node affinity/selector, "
        "3 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {team: a}, "
        "2 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, "
        "1 node(s) were unschedulable. preemption: 0/20 nodes are available: 17 Preemption is not helpful for "
        "scheduling, 3 No preemption victims found for incoming pod."
    )

    found = {cause.id: fields["nodes"] for cause, fields in known.sub_causes("FailedScheduling", message)}

    assert found == {
        "selector_mismatch": "12",
        "insufficient_gpu": "3",
        "untolerated_taint": "2",
        "taint_node_trouble": "2",
        "cordoned": "1",
        "preemption_not_helpful": "17",
        "no_victims": "3",
    }


def test_each_of_several_taints_is_told(known: Catalogue) -> None:
    message = "0/3 nodes are available: 1 node(s) had untolerated taint {a: 1}, 2 node(s) had untolerated taint {b: }."

    assert [fields["taint"] for _, fields in known.sub_causes("FailedScheduling", message)] == ["a", "b"]


@pytest.mark.parametrize(
    ("reason", "message", "cause"),
    [
        ("Failed", "(combined from similar events): Error: ImagePullBackOff", "pull_backoff"),
        ("exit:77", "ModuleNotFoundError: No module named 'einops'", "import_error"),
        ("Failed", "error: NO SPACE left on device: unknown", "image_disk_full"),
        ("FailedScheduling", "1 node(s) had untolerated taint(s)", "untolerated_taint"),
        ("FailedAttachVolume", 'Multi-Attach error for volume "v" Volume is already used by pod(s) a', "multi_attach"),
        ("log", "x" * 50_000 + "\nRuntimeError: CUDA error: device-side assert triggered", "cuda_assert"),
    ],
    ids=["folded", "any exit code", "any case", "taint without its key", "other words", "the end of a long log"],
)
def test_a_message_is_recognised_in_other_dress(known: Catalogue, reason: str, message: str, cause: str) -> None:
    assert [found.id for found, _ in known.sub_causes(reason, message)] == [cause]


@pytest.mark.parametrize("message", ["", "something else", "Insufficient", "\N{SNOWMAN}" * 100])
def test_a_message_without_a_cause_names_none(known: Catalogue, message: str) -> None:
    assert [known.sub_causes(reason, message) for reason in [*REASONS, "NoSuchReason", ":"]] == [
        [] for _ in range(len(REASONS) + 2)
    ]


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_no_message_holds_the_search_up(known: Catalogue, message: str) -> None:
    known.sub_causes("FailedScheduling", "1 Insufficient cpu")  # compiled before the clock runs
    slow = []
    for reason in {group.reasons[0] for group in known.messages}:
        known.sub_causes(reason, message[:100])
        began = time.process_time()
        known.sub_causes(reason, message)
        took = time.process_time() - began
        if took > 0.25:
            slow.append((reason, took))

    assert slow == []


def test_a_message_of_very_many_clauses_gives_a_bounded_answer(known: Catalogue) -> None:
    assert len(known.sub_causes("FailedScheduling", "1 Insufficient cpu, " * 400)) <= 64


def test_a_message_is_searched_in_microseconds(known: Catalogue) -> None:
    messages = [
        (
            "FailedScheduling",
            "0/12 nodes are available: 4 Insufficient nvidia.com/gpu, 8 node(s) didn't match Pod's node "
            "affinity/selector. preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling.",
        ),
        (
            "BackOff",
            "Back-off restarting failed container main in pod train-0_ml(6bb56274-5e44-4e70-a983-cfb822b04d1b)",
        ),
        ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
        ("Pulled", 'Successfully pulled image "ml/train:1" in 1.2s'),
    ]
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(200):
            for reason, message in messages:
                known.sub_causes(reason, message)
        best = min(best, (time.process_time() - began) / 200 / len(messages))

    assert best < 100e-6  # 15 µs when it was written


def test_fields_fill_their_places_and_others_stay() -> None:
    assert filled("<n> of <all>, <n>", {"n": "<all>"}) == "<all> of <all>, <all>"


@pytest.mark.parametrize(
    ("reason", "component", "kind", "meant"),
    [
        ("FailedScheduling", "default-scheduler", "Pod", "scheduler"),
        ("FailedScheduling", "karpenter", "Pod", "karpenter"),
        ("FailedScheduling", "", "", "scheduler"),
        ("Evicted", "kubelet", "Pod", "kubelet"),
        ("Preempted", "kueue-admission", "Workload", "kueue"),
        ("Preempted", "default-scheduler", "Pod", "scheduler"),
        ("Unschedulable", "", "PodGroup", "volcano"),
        ("Started", "batch/job-kueue-controller", "Job", "kueue"),
        ("Failed", "TaskRun", "TaskRun", "tekton"),
        ("FailedCreate", "statefulset-controller", "StatefulSet", "statefulset-controller"),
        ("FailedCreate", "my-operator", "MyJob", "any"),
        ("OutOfexample.com/fpga", "kubelet", "Pod", "kubelet"),
        ("exit:77", "", "", "container"),
        ("EvictedDueToSomethingNew", "kueue-workload-controller", "Workload", "kueue"),
        ("TFJobFailed", "tfjob-controller", "TFJob", "training-operator"),
    ],
)
def test_a_reason_is_that_of_who_says_it(known: Catalogue, reason: str, component: str, kind: str, meant: str) -> None:
    entry = known.reason(reason, component, kind)

    assert entry is not None
    assert entry.component == meant


@pytest.mark.parametrize(
    ("reason", "component", "kind"),
    [
        ("NoSuchReason", "", ""),
        ("Failed", "my-operator", "MyJob"),
        ("Failed", "", "MyJob"),
        ("", "", ""),
        ("OutOf", "", ""),
    ],
)
def test_a_reason_that_nobody_is_known_to_say_so_means_nothing(
    known: Catalogue, reason: str, component: str, kind: str
) -> None:
    assert known.reason(reason, component, kind) is None


@pytest.mark.parametrize(
    ("terminated", "earlier", "cause"),
    [
        ("OOMKilled", (), "oom_killed"),
        ("ContainerStatusUnknown", (), "container_lost"),
        ("Error", ("Scheduled", "Killing"), "killed_after_grace"),
        ("Error", ("Scheduled",), "killed_from_inside"),
        ("OOMKilled", ("Killing",), "oom_killed"),
        ("ContainerStatusUnknown", ("Evicted",), "container_lost"),
    ],
)
def test_exit_code_137_has_four_makers(known: Catalogue, terminated: str, earlier: tuple[str, ...], cause: str) -> None:
    found = known.maker("exit:137", terminated, earlier)

    assert found is not None
    assert found.id == cause


def test_an_exit_code_without_known_makers_has_none(known: Catalogue) -> None:
    assert known.maker("exit:3") is None


@pytest.mark.parametrize(
    ("cause", "most"), [("gpu_off_bus", "high"), ("evicted", "medium"), ("deadline_passed", "low")]
)
def test_the_specificity_bounds_how_sure_a_verdict_may_be(known: Catalogue, cause: str, most: str) -> None:
    assert known.cause(cause).most == most


def test_an_id_that_is_not_there_is_an_error(known: Catalogue) -> None:
    with pytest.raises(KeyError):
        known.cause("no_such_cause")
