"""Prometheus' own tool, which reads rules and queries as the server does."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pipetrail.cli.rules import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

READY = 'pipetrail_ready{instance="a"}'
MISSING = "Prometheus not here (apt-get install prometheus)"


def promtool() -> str:
    """Where it is."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip(MISSING)
    return found


def ask(directory: Path, *arguments: str | Path) -> tuple[int, str]:
    """Its exit code and what it says."""
    done = subprocess.run(
        [promtool(), *arguments], cwd=directory, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def check_rules(directory: Path, document: dict[str, Any]) -> None:
    """Fail where it finds something wrong with some rules."""
    (directory / "rules.yaml").write_text(yaml.safe_dump(document))
    code, said = ask(directory, "check", "rules", "rules.yaml")
    assert code == 0, said


def write_test(directory: Path, series: Sequence[str], minute: int, **checks: list[dict[str, Any]]) -> None:
    """Write our rules and a test of them. A recorder is ready, if nothing else is said.

    :param series: each as ``name{labels} values``, with a value for each step: see :func:`step`.
    """
    every = f"{step(minute)}m"
    given = [line.rpartition("} ") for line in series]
    inputs = [{"series": name + "}", "values": values} for name, _, values in given]
    if not any(name.startswith("pipetrail_ready") for name, _, _ in given):
        inputs.append({"series": READY, "values": f"1x{minute}"})
    test: dict[str, Any] = {"interval": every, "input_series": inputs, **checks}
    (directory / "rules.yaml").write_text(written("prometheus"))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": [test]}
    (directory / "test.yaml").write_text(yaml.safe_dump(document))


def step(minute: int) -> int:
    """So many minutes lie between two values, and two looks at the rules: playing days by the minute takes long."""
    return 1 if minute < 500 else 30


def check_firing(directory: Path, series: Sequence[str], minute: int, alerts: Sequence[str]) -> None:
    """Fail where after so many minutes of these series other alerts than these fire."""
    wanted = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts],
    }
    write_test(directory, series, minute, promql_expr_test=[wanted])
    code, said = ask(directory, "test", "rules", "test.yaml")
    assert code == 0, said


def words_of(directory: Path, series: Sequence[str], minute: int, alert: str) -> str:
    """What an alert says after so many minutes of these series, as the tool prints it."""
    # It can only compare: what it got stands beside what it was told to expect.
    wrong = [{"exp_labels": {"no": "such"}, "exp_annotations": {"no": "such"}}]
    test = {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": wrong}
    write_test(directory, series, minute, alert_rule_test=[test])
    _, said = ask(directory, "test", "rules", "test.yaml")
    assert "got:" in said, said
    return said.partition("got:")[2]
