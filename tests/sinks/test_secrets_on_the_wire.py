"""T-86: what the journal redacts and our own credentials, looked for in every byte that leaves for a receiver."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import pipetrail
from pipetrail.app.feeding import JournalFeed
from pipetrail.app.playing import PlayOptions, play
from pipetrail.catalogue import load
from pipetrail.model import Delivery
from pipetrail.sinks.kinds import kind
from pipetrail.sinks.settings import Auth
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful
from pipetrail.testing.receivers import ScriptedReceiver
from tests.kube import planted

PLANTED = "hunter2-Planted-4711"
OURS = "token-of-ours-0815"
RECORDING = Path(pipetrail.__file__).parent / "demo" / "job-oom-backofflimit"


def with_secrets(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame with the secret in each place of its object where one can be."""
    thing = frame["object"]
    thing.setdefault("metadata", {})["annotations"] = planted.annotations(PLANTED)
    said = " ".join(planted.said(PLANTED))
    if thing.get("kind") == "Event":
        thing["message"] = f"{thing.get('message') or thing.get('note') or ''} {said}"
        return frame
    spec = thing.get("spec", {})
    for owner in (spec, spec.get("template", {}).get("spec", {})):
        for container in owner.get("containers", ()):
            container.update(env=planted.container(PLANTED)["env"], args=["--password", PLANTED])
    status = thing.get("status", {})
    for condition in status.get("conditions") or ():
        condition["message"] = f"{condition.get('message', '')} {said}"
    for state in status.get("containerStatuses") or ():
        for ended in (*state.get("state", {}).values(), *state.get("lastState", {}).values()):
            ended["message"] = said
    return frame


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[list[Delivery]]:
    """All deliveries of a recording with secrets in it, verdicts and runs among them."""
    folder = tmp_path / "with-secrets"
    folder.mkdir()
    for file in RECORDING.glob("*.jsonl"):
        frames = [with_secrets(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        (folder / file.name).write_text("\n".join(map(json.dumps, frames)) + "\n", encoding="utf-8")
    journal = str(tmp_path / "journal.db")
    await play([folder], PlayOptions(journal=journal, catalogue=load()))
    feed = JournalFeed(journal)
    yield feed.page(0, 5000).items
    feed.close()


@pytest.mark.parametrize(
    ("word", "given"),
    [
        ("webhook", {}),
        ("webhook", {"format": "cloudevents"}),
        ("webhook", {"template": "{{ events|json }}"}),
        ("alertmanager", {}),
    ],
    ids=["json", "cloudevents", "template", "alertmanager"],
)
async def test_no_secret_leaves(recorded: list[Delivery], word: str, given: dict[str, Any]) -> None:
    now = max(each.event.observed_at for each in recorded)
    async with ScriptedReceiver() as receiver:
        found = kind(word)
        whole: dict[str, Any] = {"type": word, "url": receiver.url, "auth": Auth(token=OURS)} | given
        settings = found.Settings(**whole)
        sink = found.make("test", settings, Tools(now=lambda: now, memory=Forgetful()))
        await sink.start()
        for start in range(0, len(recorded), 50):
            await sink.send(recorded[start : start + 50])
        await sink.stop()

    assert {"verdict", "run", "status", "kubernetes"} <= {each.event.origin for each in recorded}
    sent = b"".join(receiver.bodies).decode()
    assert "OOMKilled" in sent
    assert PLANTED not in sent
    assert OURS not in sent
    if word == "webhook":
        assert "[redacted]" in sent
    for asked in receiver.requests:
        headers = {**asked.headers}
        assert headers.pop("authorization") == f"Bearer {OURS}"
        assert OURS not in f"{asked.path}{asked.query}{headers}"
