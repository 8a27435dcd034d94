"""The callbacks of Transformers and Lightning fit what these libraries publish; their Trainers are not run here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks import environments, interfaces
from tests.hooks.conftest import WORKFLOWS
from tests.hooks.environments import ROOT
from tests.hooks.interfaces import Interface
from tests.hooks.listening import Listener

HOOKS = ROOT / "examples" / "hooks"
KEPT = interfaces.kept()
FITS = [("transformers", "transformers"), ("lightning", "lightning"), ("lightning", "pytorch-lightning")]
NOTES = {
    "transformers": {
        ("StepProgress", "40 of 100 (40 %)"),
        ("CheckpointSaved", "checkpoint models/checkpoint-40, epoch 0.40"),
    },
    "lightning": {
        ("CheckpointSaved", "checkpoint models, epoch 1, step 40"),
        ("TrainingFailed", "ConnectionError, step 50"),
        ("CheckpointSaved", "checkpoint work, epoch 1, step 50"),
    },
}


def _play(variables: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, WORKFLOWS / "callbacks_alone.py", *arguments],
        env=variables | {"PYTHONPATH": f"{variables['PYTHONPATH']}:{ROOT}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def _told(listener: Listener) -> set[tuple[str, str]]:
    return {(event["reason"], event["note"]) for event in listener.events.values()}


def _wheel(interface: Interface, folder: Path) -> Path:
    try:
        return environments.download(interface.package, interface.version, folder)
    except environments.OfflineError:
        pytest.skip(f"hooks: the package {interface.package} is not here, and the registry can't be reached")


@pytest.mark.parametrize(("hook", "package"), FITS)
def test_a_callback_overrides_only_what_is_published_with_the_same_parameters(hook: str, package: str) -> None:
    ours = interfaces.methods(interfaces.class_in((HOOKS / f"{hook}_callback.py").read_text(), "OnRecord"))

    assert ours
    assert ours == {name: KEPT[package].methods.get(name) for name in ours}


@pytest.mark.parametrize(("hook", "package"), FITS)
def test_a_callback_uses_only_attributes_that_are_published(hook: str, package: str) -> None:
    ours = interfaces.class_in((HOOKS / f"{hook}_callback.py").read_text(), "OnRecord")

    for parameter, (_, _, published) in KEPT[package].objects.items():
        assert interfaces.used(ours, parameter) <= set(published)


@pytest.mark.parametrize("hook", sorted(NOTES))
def test_a_callback_says_what_one_process_saved_and_no_text_of_an_exception(
    variables: dict[str, str], listener: Listener, hook: str
) -> None:
    _play(variables, hook)

    assert _told(listener) == NOTES[hook]


@pytest.mark.release
@pytest.mark.timeout(600)
@pytest.mark.parametrize("package", sorted(KEPT))
def test_what_is_kept_of_an_interface_is_what_the_package_has(package: str, tmp_path: Path) -> None:
    assert interfaces.read(KEPT[package], _wheel(KEPT[package], tmp_path)) == KEPT[package]


@pytest.mark.release
@pytest.mark.timeout(600)
@pytest.mark.parametrize("hook", sorted(NOTES))
def test_a_callback_says_the_same_when_it_derives_from_the_real_class(
    variables: dict[str, str], listener: Listener, hook: str, tmp_path: Path
) -> None:
    _play(variables, hook, str(_wheel(KEPT[hook], tmp_path)))

    assert _told(listener) == NOTES[hook]
