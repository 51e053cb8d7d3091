"""The pool that selections from elsewhere are made of."""

import pytest
from given_pool import make_pool

from shed.data.records import Record


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return make_pool(tmp_path_factory.mktemp("pool"))
