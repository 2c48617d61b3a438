"""Art for the tests of drawn worlds."""

import pytest
from factories_worlds import make_art


@pytest.fixture(scope="session")
def art(tmp_path_factory):
    return make_art(tmp_path_factory.mktemp("art"))
