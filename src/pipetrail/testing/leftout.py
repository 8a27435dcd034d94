"""Says at the end of a test run, in one list, what was left out and why; and fails where nothing may be left out.

Loaded by pytest (``-p pipetrail.testing.leftout``). With ``PIPETRAIL_REQUIRE=all`` a test that is skipped because a
part of the required set is missing is a failure.
"""

import os
from collections import Counter

import pytest

REQUIRED = (
    "control plane",
    "Pulumi engine",
    "ML controllers",
    "more ML controllers",
    "OpenSearch",
    "Elasticsearch",
    "Prometheus",
    "Alertmanager",
)
"""How the reasons begin that name a part of the required set."""


class LeftOut:
    """Collects the reasons of skipped and deselected tests of one run."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a skipped module."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Note what the marker expression leaves out."""
        release = sum(item.get_closest_marker("release") is not None for item in items)
        if release:
            self.reasons["too dear for every run: make test-release"] += release

    def missing(self) -> list[str]:
        """The reasons that name a required part."""
        return [reason for reason in self.reasons if reason.startswith(REQUIRED)]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a required part was missing."""
        if os.environ.get("PIPETRAIL_REQUIRE") == "all" and self.missing() and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the list."""
        if not self.reasons:
            terminalreporter.section("nothing was left out", sep="-")
            return
        terminalreporter.section("left out", sep="-")
        for reason, count in sorted(self.reasons.items()):
            terminalreporter.write_line(f"{count:5} {'test ' if count == 1 else 'tests'}  {reason}")
        if os.environ.get("PIPETRAIL_REQUIRE") == "all":
            for reason in self.missing():
                terminalreporter.write_line(f"PIPETRAIL_REQUIRE=all: required, but missing: {reason}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Join the run."""
    config.pluginmanager.register(LeftOut(), "pipetrail-left-out")
