"""Asking the recorder that writes a journal, over its socket."""

from typing import Any

from pipetrail.cli.failures import FAILED, UNREACHABLE, Failure


def ask_recorder(journal: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """What the recorder of a journal answers; None where no recorder runs.

    :raises Failure: when it refuses, fails, or does not answer.
    """
    from pipetrail.control import ask

    try:
        answer = ask(journal, request)
    except (OSError, ValueError) as error:
        raise Failure(f"the recorder of {journal} does not answer ({error})", UNREACHABLE) from error
    if answer is None:
        return None
    if not answer.get("ok"):
        raise Failure(f"the recorder refused: {answer.get('error', 'it gave no reason')}", FAILED)
    result = answer.get("result")
    return result if isinstance(result, dict) else {}
