"""Events as lines of text: JSON, or what the user's template says."""

from collections.abc import Callable, Sequence

import msgspec

from pipetrail.documents.deliveries import delivery_json
from pipetrail.model import Answer, Delivery, Rejected
from pipetrail.model.protocols import Failure
from pipetrail.sinks.settings import naming


class Lines:
    """Makes the lines of one sink.

    :param template: one that is rendered with ``event``, the document; its line breaks become spaces.
    :raises ValueError: when it is no template.
    """

    def __init__(self, template: str | None) -> None:
        self._line = delivery_json if template is None else _rendered(template)
        self._failure: Failure = "client" if template is None else "template"

    def of(self, batch: Sequence[Delivery]) -> tuple[bytes, list[Answer]]:
        """The lines, and the answer for each event: None, or why it can't be one. For a thread."""
        line = self._line
        try:
            lines = [line(each) for each in batch]
            lines.append(b"")
            return b"\n".join(lines), [None] * len(batch)
        except Exception:
            return self._one_by_one(batch)

    def _one_by_one(self, batch: Sequence[Delivery]) -> tuple[bytes, list[Answer]]:
        lines, answers = [], list[Answer]()
        for each in batch:
            try:
                lines.append(self._line(each) + b"\n")
                answers.append(None)
            except Exception as error:
                answers.append(Rejected(f"it can't be a line: {error}", self._failure))
        return b"".join(lines), answers


def _rendered(template: str) -> Callable[[Delivery], bytes]:
    from pipetrail.sinks.templates import compiled  # brings Jinja2, and few need it

    with naming("template"):
        render = compiled(template)

    def line(found: Delivery) -> bytes:
        text = render({"event": msgspec.json.decode(delivery_json(found))})
        return " ".join(text.splitlines()).encode()

    return line
