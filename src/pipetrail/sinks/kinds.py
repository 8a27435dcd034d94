"""The kinds of sinks: a new one is a module with ``Settings`` and ``make``, and a line here."""

from importlib import import_module
from typing import Protocol, cast

from pipetrail.model import Sink
from pipetrail.sinks import settings as common
from pipetrail.sinks.tools import Tools

KINDS: dict[str, str] = {
    "alertmanager": "pipetrail.sinks.alertmanager",
    "elasticsearch": "pipetrail.sinks.opensearch",
    "file": "pipetrail.sinks.file",
    "opensearch": "pipetrail.sinks.opensearch",
    "stdout": "pipetrail.sinks.stdout",
    "webhook": "pipetrail.sinks.webhook",
}
"""The word under ``type``, and the module that is imported when somebody uses it."""


class Kind(Protocol):
    """What such a module has."""

    @property
    def Settings(self) -> type[common.Settings]:
        """What such a sink can be told."""
        ...

    def make(self, name: str, settings: common.Settings, tools: Tools) -> Sink:
        """A sink of that kind, not started yet. ``settings`` is of the module's own type.

        :raises ValueError: with what is wrong in the settings, as ``field: what``.
        """
        ...


def kind(word: str) -> Kind:
    """The module of a kind.

    :raises KeyError: when there is none.
    """
    return cast("Kind", import_module(KINDS[word]))
