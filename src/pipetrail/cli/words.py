"""Words in and out: what people may call a kind or an object, and how sizes, ages, times and foreign text are shown."""

import datetime as dt
import re
import unicodedata

from pipetrail.model import Micros, ObjectRef
from pipetrail.model.times import SECOND, to_datetime

# What kubectl understands, for the kinds of which events speak most.
_SHORT = {
    "cj": "CronJob",
    "cm": "ConfigMap",
    "crd": "CustomResourceDefinition",
    "cs": "ComponentStatus",
    "deploy": "Deployment",
    "ds": "DaemonSet",
    "ep": "Endpoints",
    "ev": "Event",
    "hpa": "HorizontalPodAutoscaler",
    "ing": "Ingress",
    "isvc": "InferenceService",
    "lq": "LocalQueue",
    "cq": "ClusterQueue",
    "lws": "LeaderWorkerSet",
    "netpol": "NetworkPolicy",
    "no": "Node",
    "ns": "Namespace",
    "pc": "PriorityClass",
    "pdb": "PodDisruptionBudget",
    "pipelinerun": "PipelineRun",
    "po": "Pod",
    "pr": "PipelineRun",
    "pv": "PersistentVolume",
    "pvc": "PersistentVolumeClaim",
    "quota": "ResourceQuota",
    "rs": "ReplicaSet",
    "sa": "ServiceAccount",
    "sc": "StorageClass",
    "sts": "StatefulSet",
    "svc": "Service",
    "tr": "TaskRun",
    "vcjob": "Job",
    "wf": "Workflow",
    "wl": "Workload",
}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def kinds_meant(word: str) -> tuple[str, ...]:
    """The kinds that a person's word can mean; compared without regard to case.

    ``po``, ``pod``, ``pods`` and ``Pod`` mean Pod; the plural of any kind means it too, with or without its group
    (``trainjobs``, ``jobs.batch``).
    """
    lower = word.partition(".")[0].lower()
    if lower in _SHORT:
        return (_SHORT[lower],)
    found = [lower]
    if lower.endswith("ies"):
        found.append(lower[:-3] + "y")
    if lower.endswith("es"):
        found.append(lower[:-2])
    if lower.endswith("s"):
        found.append(lower[:-1])
    return tuple(found)


def object_meant(text: str) -> tuple[str, str, str]:
    """Namespace (or nothing), kind and name in ``kind/name`` or ``namespace/kind/name``.

    :raises ValueError: when it is neither.
    """
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"{text!r} names no object: write kind/name or namespace/kind/name, such as pod/train-0")
    return (parts[0] if len(parts) == 3 else "", parts[-2], parts[-1])


def object_words(ref: ObjectRef, namespace: bool = True) -> str:
    """How an object is named on a line, so that it can be typed again: ``ml/pod/train-0``; ``node/gpu-1``."""
    named = f"{ref.kind.lower()}/{ref.name}" if ref.name else ref.kind.lower()
    return f"{ref.namespace}/{named}" if ref.namespace and namespace else named


def container_of(ref: ObjectRef) -> str:
    """The container that a field path names, or nothing."""
    found = re.fullmatch(r"spec\.(?:initC|ephemeralC|c)ontainers\{(.+)\}", ref.field_path)
    return found[1] if found else ""


def clean(text: str) -> str:
    """Foreign text with nothing in it that a terminal would obey: each such character is made visible.

    Control characters become their pictures (``␛``, ``␊``); characters that are invisible, turn the direction of
    writing or are no characters at all become escapes (``\\u202e``).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _visible(char) for char in text)


def _visible(char: str) -> str:
    number = ord(char)
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if unicodedata.category(char) == "Zs":
        return " "
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def size_words(size: int) -> str:
    """A number of bytes for people: ``512 B``, ``1.2 GiB``."""
    amount, unit = float(size), 0
    while amount >= 1023.95 and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def age_words(age: Micros) -> str:
    """A length of time for people, in two units at most: ``12s``, ``5m03s``, ``3h05m``, ``2d4h``, ``340d``."""
    seconds = max(0, age) // SECOND
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m{seconds % _MINUTE:02d}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h{seconds % _HOUR // _MINUTE:02d}m"
    days, hours = divmod(seconds // _HOUR, 24)
    return f"{days}d{hours}h" if days < 10 else f"{days}d"


class ShortTimes:
    """Local times, as short as they can be: today's with milliseconds, others with their date.

    :param now: what today is.
    :param zone: the time zone; the machine's if None.
    """

    def __init__(self, now: Micros, zone: dt.tzinfo | None = None) -> None:
        self._zone = zone
        self._today = to_datetime(now).astimezone(zone)
        self._seconds: dict[int, tuple[str, bool]] = {}

    def __call__(self, at: Micros) -> str:
        """``03:12:04.123``; ``11-24 03:12:04``; ``2024-11-24 03:12``."""
        second, rest = divmod(at, SECOND)
        found = self._seconds.get(second)
        if found is None:
            if len(self._seconds) > 10_000:
                self._seconds.clear()
            found = self._seconds[second] = self._second(at)
        text, today = found
        return f"{text}.{rest // 1000:03d}" if today else text

    def _second(self, at: Micros) -> tuple[str, bool]:
        try:
            time = to_datetime(at).astimezone(self._zone)
        except (OverflowError, ValueError):
            return str(at), False
        if time.date() == self._today.date():
            return time.strftime("%H:%M:%S"), True
        return time.strftime("%m-%d %H:%M:%S" if time.year == self._today.year else "%Y-%m-%d %H:%M"), False

    def inside(self, text: str) -> str:
        """A text of our own with the full times in it made short."""
        return _FULL_TIME.sub(lambda found: self._shortened(found[0]), text)

    def _shortened(self, text: str) -> str:
        return self((dt.datetime.fromisoformat(text) - to_datetime(0)) // dt.timedelta(microseconds=1))


_FULL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
