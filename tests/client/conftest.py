"""Our `devpi` in a home of its own, against our running server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devpi import Client, Yard, a_yard


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with a_yard(tmp_path_factory.mktemp("devpi") / "server") as made:
        yield made


@pytest.fixture
def devpi(yard: Yard, tmp_path: Path) -> Client:
    return yard.client(tmp_path / "home")
