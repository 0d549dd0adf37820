"""A server of either make, with the nodes of a small bioreactor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.opcua.harness import NODES
from tests.support.opcua_servers import MAKES, Make, OpcUaServer


@pytest.fixture(params=MAKES)
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture
def server(make: Make, tmp_path: Path) -> Iterator[OpcUaServer]:
    """It runs already."""
    with OpcUaServer(tmp_path, make, NODES) as running:
        yield running


@pytest.fixture
def absent(make: Make, tmp_path: Path) -> Iterator[OpcUaServer]:
    """It does not run yet."""
    server = OpcUaServer(tmp_path, make, NODES)
    try:
        yield server
    finally:
        server.kill()
