"""pipetrail: the flight recorder for ML pipelines on Kubernetes.

What a training script uses is here, imported when it is first used::

    import pipetrail

    pipetrail.emit("DataArrived", "1,204 files in s3://lake/day=2026-11-24")
    with pipetrail.step("train") as step:
        step.checkpoint("s3://models/ckpt-100")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipetrail.emitting.checks import InvalidEvent
    from pipetrail.emitting.sdk import configure, emit, emit_async, flush
    from pipetrail.emitting.steps import checkpoint, progress, step

__version__ = "0.1.0"
__all__ = [
    "InvalidEvent",
    "__version__",
    "checkpoint",
    "configure",
    "emit",
    "emit_async",
    "flush",
    "progress",
    "step",
]

_WHERE = {
    "InvalidEvent": "checks",
    "checkpoint": "steps",
    "configure": "sdk",
    "emit": "sdk",
    "emit_async": "sdk",
    "flush": "sdk",
    "progress": "steps",
    "step": "steps",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'pipetrail' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"pipetrail.emitting.{_WHERE[name]}"), name)
    globals()[name] = found
    return found
