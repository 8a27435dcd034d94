"""``pipetrail record`` where it can't begin: what it says then."""

import subprocess
import sys
from pathlib import Path

import pytest

LEFT_OUT = "the clusters of the configuration are left out"


@pytest.mark.parametrize(("options", "said"), [((), False), (("--context", "other"), True)])
def test_clusters_of_the_file_that_the_command_line_replaces_are_named(
    tmp_path: Path, options: tuple[str, ...], said: bool
) -> None:
    missing = tmp_path / "missing.kubeconfig"
    config = tmp_path / "c.yaml"
    config.write_text(f"clusters: [{{context: test, kubeconfig: {missing}}}]\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pipetrail", "record", "--config", str(config), "--journal", str(tmp_path / "j.db"),
         "--listen", "", *options],
        capture_output=True, text=True, timeout=60, check=False, env={"KUBECONFIG": str(missing)},
    )  # fmt: skip

    assert ended.returncode == 3
    assert str(missing) in ended.stderr
    assert (LEFT_OUT in ended.stderr) is said
