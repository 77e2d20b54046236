"""A chain on servers of its own, so that a test may kill them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.embedded.broker import Broker, EmbeddedBroker, Mosquitto
from simulator.embedded.postgres import Postgres
from tests.conftest import missing


@pytest.fixture(params=["embedded", "real"])
def own_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Postgres]:
    """PostgreSQL for this test alone: the wheel's, and TimescaleDB with Mosquitto beside it."""
    tree = None
    if request.param == "real":
        named = os.environ.get("EGENMONITOR_TIMESCALE_TREE")
        if not named or os.geteuid() != 0:
            missing("timescaledb", "EGENMONITOR_TIMESCALE_TREE is not set, or not root")
        tree = Path(named or "")
    with Postgres(tmp_path / "postgres", tree=tree) as server:
        yield server
    shutil.rmtree(server.outside_data_directory(), ignore_errors=True)


@pytest.fixture
def own_broker(own_postgres: Postgres, tmp_path: Path) -> Iterator[Broker]:
    """A broker of the same kind: the wheel's, or Mosquitto."""
    if not own_postgres.is_in_tree:
        kind: type[Broker] = EmbeddedBroker
    else:
        if Mosquitto.program() is None:
            missing("mosquitto", "the program is not installed")
        kind = Mosquitto
    with kind(tmp_path / "broker") as broker:
        yield broker
