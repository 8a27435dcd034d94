"""The callbacks of Transformers and Lightning, called as their Trainers do, without a Trainer, model or torch.

Arguments: the library, and a wheel that has the class to derive from; without one, an empty class stands in for it.
"""

import ast
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pipetrail
from tests.hooks.interfaces import class_in, kept


def base(library: str, wheel: Path | None) -> type:
    """The library's own class, executed from its source alone; or an empty one with its name."""
    interface = kept()[library]
    if wheel is None:
        return type(interface.name, (), {})
    with zipfile.ZipFile(wheel) as archive:
        defined = class_in(archive.read(interface.file).decode(), interface.name)
    # Annotations name classes that need torch; so they stay texts.
    future = ast.parse("from __future__ import annotations").body
    found: dict[str, Any] = {"__name__": library}
    module = ast.Module(body=[*future, defined], type_ignores=[])
    exec(compile(module, interface.file, "exec"), found)  # noqa: S102
    made: type = found[interface.name]
    return made


def provide(name: str, **content: type) -> None:
    """Make a module and those above it importable."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), ModuleType(".".join(parts[:end])))
    vars(sys.modules[name]).update(content)


def transformers() -> None:
    """Two processes of one training log and save; the first one speaks."""
    callback = import_module("transformers_callback").OnRecord()
    for zero in (True, False):
        state = SimpleNamespace(global_step=40, max_steps=100, epoch=0.4, is_world_process_zero=zero)
        callback.on_log(SimpleNamespace(), state, SimpleNamespace(), logs={"loss": 0.5}, model=None)
        callback.on_save(SimpleNamespace(output_dir="models"), state, SimpleNamespace(), model=None)


def lightning() -> None:
    """Two processes of one training save, go on, fail and save again; the first one speaks."""
    make = import_module("lightning_callback").OnRecord
    for zero in (True, False):
        callback = make()
        trainer = SimpleNamespace(
            current_epoch=1,
            global_step=40,
            is_global_zero=zero,
            default_root_dir="work",
            checkpoint_callback=SimpleNamespace(dirpath="models"),
        )
        callback.on_train_batch_start(trainer, None, [], 0)
        callback.on_save_checkpoint(trainer, None, {})
        callback.on_train_batch_start(trainer, None, [], 1)
        callback.on_train_batch_start(trainer, None, [], 2)
        trainer.global_step = 50
        trainer.checkpoint_callback = None
        callback.on_exception(trainer, None, ConnectionError("password=hunter2"))
        callback.on_save_checkpoint(trainer, None, {})
        callback.teardown(trainer, None, "fit")


if __name__ == "__main__":
    made = base(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    if sys.argv[1] == "transformers":
        provide("transformers", TrainerCallback=made)
        transformers()
    else:
        provide("lightning.pytorch.callbacks", Callback=made)
        lightning()
    pipetrail.flush(60)  # a busy machine takes long to read a kubeconfig
