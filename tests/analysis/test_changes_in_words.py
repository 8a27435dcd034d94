"""What was set up otherwise, in words: one line for each thing that somebody changed."""

import pytest

from pipetrail.analysis.differing import Changed, Difference, What, in_words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Difference("image", "image", "ml/train:1.4", "ml/train:1.5"), "image ml/train:1.4 to ml/train:1.5"),
        (Difference("image", "loader: image", "a:1", "a:2", ("x", "y")), "loader: image of x, y a:1 to a:2"),
        (Difference("image", "digest", "sha256:ab", "sha256:cd"), "image digest sha256:ab to sha256:cd"),
        (Difference("resources", "limits.memory", "64Gi", "32Gi"), "limits.memory 64Gi to 32Gi"),
        (Difference("env", "HF_HOME", "", "set"), "env HF_HOME added: set"),
        (Difference("volumes", "data", "persistentVolumeClaim d", ""), "volumes data removed: persistentVolumeClaim d"),
        (Difference("queue", "queue", "team", "spare"), "queue team to spare"),
        (Difference("settings", "args", "a" * 200, "b"), f"settings args {'a' * 79}… to b"),
    ],
)
def test_a_change_is_one_line(found: Difference, words: str) -> None:
    assert in_words([found]) == [words]


@pytest.mark.parametrize("what", ["node", "labels", "attempts"])
def test_what_comes_by_itself_is_no_change(what: What) -> None:
    assert in_words([Difference(what, "name", "a", "b")]) == []


def test_a_digest_is_left_out_where_the_image_is_another_one() -> None:
    found = [
        Difference("image", "image", "a:1", "a:2"),
        Difference("image", "digest", "sha256:ab", "sha256:cd"),
        Difference("image", "loader: digest", "sha256:ab", "sha256:cd"),
    ]

    assert in_words(found) == ["image a:1 to a:2", "image loader: digest sha256:ab to sha256:cd"]


def test_an_object_that_was_changed_is_told_last() -> None:
    queue = Changed(kind="LocalQueue", namespace="ml", name="team", at=1, paths=("spec.limit",))

    assert in_words([Difference("queue", "queue", "a", "b")], [queue]) == [
        "queue a to b",
        "LocalQueue team: spec.limit",
    ]
