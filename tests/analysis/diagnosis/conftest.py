import pytest

from pipetrail.catalogue import Catalogue, load


@pytest.fixture(scope="session")
def known() -> Catalogue:
    """The catalogue that comes with pipetrail."""
    return load()
