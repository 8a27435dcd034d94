"""How property tests run, and the shared recordings."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"
KNOWLEDGE = Path(__file__).parents[2] / "shared" / "knowledge"

# The same examples in every run, nothing kept between two; a slow machine must not fail a property.
_always = settings(
    derandomize=True,
    database=None,
    deadline=None,
    # A contract suite runs in several classes.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    print_blob=False,
)
settings.register_profile("every-run", _always, max_examples=50)
settings.register_profile("release", _always, max_examples=400)  # --hypothesis-profile=release
settings.load_profile("every-run")
set_hypothesis_home_dir(str(Path(__file__).parents[1] / ".pytest_cache" / "hypothesis"))

# pytest-asyncio asks for the loop that was there before its own; where there was none, Python 3.11 makes one that
# nobody closes. Once a loop was set, even to none, it does not.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def recordings() -> list[Path]:
    """The recordings of real controllers, a folder each."""
    if not RECORDINGS.is_dir():
        pytest.skip("shared recordings not here")
    return sorted(folder for folder in RECORDINGS.iterdir() if folder.is_dir())


@pytest.fixture(scope="session")
def reasons() -> Path:
    """The catalogue of failure reasons."""
    found = KNOWLEDGE / "reasons.tsv"
    if not found.is_file():
        pytest.skip("shared knowledge not here")
    return found
