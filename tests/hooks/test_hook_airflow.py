"""Airflow: callbacks and listener in its real processes: scheduler, DAG processor, API server, and forks for tasks."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hooks.conftest import WORKFLOWS, installed
from tests.hooks.environments import ROOT
from tests.hooks.listening import NAMESPACE, POD, Listener, Said

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]

SECONDS = 240.0


def _free_ports(number: int) -> list[str]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [str(one.getsockname()[1]) for one in held]


@contextmanager
def _standalone(home: Path, variables: dict[str, str], dags: Path) -> Iterator[Path]:
    """All of Airflow, with the DAGs of a folder and the plugins of ``home/plugins``; yields the log."""
    python = installed("airflow")
    api, worker, triggerer = _free_ports(3)
    environment = variables | {
        # `airflow standalone` starts the others by their name.
        "PATH": f"{python.parent}:{variables['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": api,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": triggerer,
    }
    log = home / "standalone.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [python, "-m", "airflow", "standalone"],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        # It leaves its children behind when it ends, so all of its session get the signals.
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        for _ in range(50):
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
    process.wait(10)


def _runs(listener: Listener) -> dict[str, str]:
    """The runs that were told of, by DAG."""
    return {said.run.partition("/")[0]: said.run for said in listener.said()}


def test_callbacks_say_how_tasks_and_runs_ended(tmp_path: Path, variables: dict[str, str], listener: Listener) -> None:
    with _standalone(tmp_path, variables, WORKFLOWS / "airflow_called") as log:
        complete = listener.wait_for({"TaskRetried", "TaskFailed", "RunFailed", "RunSucceeded"}, SECONDS)

    assert complete, f"{listener.said()}\n{log.read_text(errors='replace')[-8000:]}"
    runs = _runs(listener)
    assert listener.said() == {
        Said("Warning", "TaskRetried", runs["failing"], "fit"),
        Said("Warning", "TaskFailed", runs["failing"], "fit"),
        Said("Warning", "RunFailed", runs["failing"], ""),
        Said("Normal", "RunSucceeded", runs["succeeding"], ""),
    }
    assert listener.notes() == {
        "TaskRetried": "ConnectionError, try 1",
        "TaskFailed": "ConnectionError, try 2",
        "RunFailed": "task_failure",
        "RunSucceeded": "success",
    }
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}


def test_the_listener_says_it_of_dags_that_know_nothing_of_it(
    tmp_path: Path, variables: dict[str, str], listener: Listener
) -> None:
    (tmp_path / "plugins").mkdir()
    shutil.copy(ROOT / "examples" / "hooks" / "airflow_listener.py", tmp_path / "plugins")

    with _standalone(tmp_path, variables, WORKFLOWS / "airflow_listened") as log:
        complete = listener.wait_for({"TaskFailed", "RunFailed", "RunSucceeded"}, SECONDS)

    assert complete, f"{listener.said()}\n{log.read_text(errors='replace')[-8000:]}"
    runs = _runs(listener)
    assert listener.said() == {
        Said("Warning", "TaskFailed", runs["failing"], "fit"),
        Said("Warning", "RunFailed", runs["failing"], ""),
        Said("Normal", "RunSucceeded", runs["succeeding"], ""),
    }
    told = {(event["reason"], event["note"]) for event in listener.events.values()}
    assert told == {
        ("TaskFailed", "ConnectionError, try 1"),
        ("TaskFailed", "ConnectionError, try 2"),
        ("RunFailed", "task_failure"),
        ("RunSucceeded", "success"),
    }
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}
