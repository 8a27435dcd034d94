"""What the API server would refuse of an Event, found before it is asked, and named by the argument that is wrong.

The limits are those of the API server's own validation, for the stricter of its two Event APIs, so that what passes
here is taken by both. Lengths are in bytes of UTF-8, as the server counts them.
"""

import re
from collections.abc import Mapping

REASON = ACTION = INSTANCE = 128
MESSAGE = 1024
NAME = 253
RUN = 1024  # an annotation takes far more; Airflow's longest is twice 250
LABEL = 63

TYPES = ("Normal", "Warning")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*", re.ASCII)

# Their names may hold what no other name may, such as system:node.
_FREELY_NAMED = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})


class InvalidEvent(ValueError):
    """An Event that the API server would refuse.

    :ivar argument: the name of the argument that is wrong, as in Python: ``reason``, ``about.name``.
    :ivar problem: what is wrong with it, and what would be right.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem


def text(argument: str, value: object, most: int, *, required: bool = True, lines: bool = False) -> str:
    """A text of at most ``most`` bytes; ``lines`` allows line breaks and tabs.

    :raises InvalidEvent: when it is none.
    """
    if not isinstance(value, str):
        raise InvalidEvent(argument, f"{shown(value)} is no text but {_article(type(value).__name__)}")
    if value.isascii() and value.isprintable():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise InvalidEvent(argument, f"the character {error.start + 1} is half a surrogate pair, no text") from None
        for character in value:
            if _is_control(character) and not (lines and character in "\n\t\r"):
                raise InvalidEvent(argument, f"it holds the control character U+{ord(character):04X}; leave it out")
    if size > most:
        raise InvalidEvent(argument, f"it has {size} bytes, and the API server takes {most} at most; shorten it")
    if required and not value.strip():
        raise InvalidEvent(argument, "it is empty; the API server wants one")
    return value


def choice(argument: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of some words, written exactly so.

    :raises InvalidEvent: when it is none of them.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InvalidEvent(argument, f"{shown(value)} is none of {', '.join(allowed)}")
    return value


def label(argument: str, value: object) -> str:
    """A DNS label, which names of namespaces are.

    :raises InvalidEvent: when it is none.
    """
    found = text(argument, value, LABEL)
    if not _LABEL.fullmatch(found):
        raise InvalidEvent(
            argument, f"{shown(found)} is no DNS label: small letters, digits and - inside, {LABEL} bytes at most"
        )
    return found


def subdomain(argument: str, value: object) -> str:
    """A DNS subdomain, which names of objects are.

    :raises InvalidEvent: when it is none.
    """
    found = text(argument, value, NAME)
    if not _is_subdomain(found):
        raise InvalidEvent(
            argument,
            f"{shown(found)} is no DNS name: small letters, digits, - and . inside, {NAME} bytes at most",
        )
    return found


def object_name(argument: str, kind: str, value: object) -> str:
    """The name of an object of that kind.

    :raises InvalidEvent: when no such object can have it.
    """
    if kind not in _FREELY_NAMED:
        return subdomain(argument, value)
    found = text(argument, value, NAME)
    if found in (".", "..") or "/" in found or "%" in found:
        raise InvalidEvent(argument, f"{shown(found)} can't be a name: it has a / or % in it, or is . or ..")
    return found


def kind(argument: str, value: object) -> str:
    """The kind of an object, such as ``Pod``.

    :raises InvalidEvent: when it is none.
    """
    found = text(argument, value, LABEL)
    if not (found.isascii() and found.isalnum() and found[0].isalpha()):
        raise InvalidEvent(argument, f"{shown(found)} is no kind: letters and digits, such as Pod")
    return found


def api_version(argument: str, value: object) -> str:
    """``v1`` or ``group/version``.

    :raises InvalidEvent: when it is none.
    """
    found = text(argument, value, NAME)
    if not _API_VERSION.fullmatch(found):
        raise InvalidEvent(argument, f"{shown(found)} is no API version: v1, or as batch/v1")
    return found


def qualified(argument: str, value: object) -> str:
    """A qualified name, with or without a prefix: ``scheduler``, ``example.com/scheduler``. Reporters have such.

    :raises InvalidEvent: when it is none.
    """
    found = text(argument, value, NAME + 1 + LABEL)
    prefix, slash, name = found.rpartition("/")
    if slash and (len(prefix) > NAME or not _is_subdomain(prefix)):
        raise InvalidEvent(argument, f"{shown(prefix)}, before the /, is no DNS name")
    if len(name) > LABEL:
        raise InvalidEvent(argument, f"it has {len(name)} bytes after the prefix, and the API server takes {LABEL}")
    if not _QUALIFIED.fullmatch(name):
        raise InvalidEvent(
            argument,
            f"{shown(name)} is no qualified name: letters, digits, -, _ and . inside, such as ml-scheduler or"
            " example.com/ml-scheduler",
        )
    return found


def fits_label(value: str) -> bool:
    """Whether a text can be the value of a label."""
    return len(value) <= LABEL and _QUALIFIED.fullmatch(value) is not None


def labels(argument: str, value: object) -> dict[str, str]:
    """Labels: qualified names, and values that fit.

    :raises InvalidEvent: when a name or value is none.
    """
    found = annotations(argument, value)
    for name, content in found.items():
        if content and not fits_label(content):
            raise InvalidEvent(
                f"{argument}[{name!r}]",
                f"{shown(content)} can't be the value of a label: letters, digits, -, _ and . inside,"
                f" {LABEL} bytes at most",
            )
    return found


def annotations(argument: str, value: object) -> dict[str, str]:
    """Annotations: qualified names, and any texts.

    :raises InvalidEvent: when a name or value is none.
    """
    if not isinstance(value, Mapping):
        raise InvalidEvent(argument, f"{shown(value)} is no mapping of names to texts")
    return {
        qualified(f"{argument}[{shown(name)}]", name): text(
            f"{argument}[{shown(name)}]", content, 256 * 1024, required=False, lines=True
        )
        for name, content in value.items()
    }


def shown(value: object) -> str:
    """A foreign value as a message can bear it."""
    shown = ascii(value) if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:56]}...'"


def _is_subdomain(value: str) -> bool:
    return all(map(_LABEL.fullmatch, value.split(".")))


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"
