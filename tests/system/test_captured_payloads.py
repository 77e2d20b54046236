"""Payloads captured from bought devices, through radio, gateway, broker, ingest and database."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.embedded.broker import Broker
from simulator.embedded.postgres import Postgres
from simulator.play import DEVICE_IDS
from tests.system.chain import PATIENCE_S, Chain, care_record

CAPTURES = Path(__file__).parent.parent / "golden" / "gatt_captures.json"
WEIGHT_KG = 86.55
WEIGHT_ID = 5


@pytest.fixture
def played(tmp_path: Path, own_postgres: Postgres, own_broker: Broker) -> Iterator[Chain]:
    """The chain after ``python -m simulator play`` has ended by itself."""
    command = [sys.executable, "-m", "simulator", "play", str(CAPTURES), "--limit-s", "60"]
    command += ["--window-s", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as player:
        assert player.stdout is not None
        label, transport = player.stdout.readline().split()
        assert label == "radio:"
        chain = Chain(tmp_path, own_postgres, own_broker, transport)
        chain.prepare(care_record(list(DEVICE_IDS.values())))
        chain.ingest.start()
        chain.gateway.start()
        said, _ = player.communicate(timeout=PATIENCE_S)
        assert player.returncode == 0, said
        yield chain
        chain.stop()


async def test_the_weight_is_stored_once_the_failed_measurement_is_an_event_the_rest_is_nothing(
    played: Chain,
) -> None:
    await played.until("both readings stored", lambda: played.stored() >= 2)
    await played.until("nothing left to send", lambda: played.waiting() == 0)

    readings = "select device_id, outcome, suspicion > 0 from reading order by device_id"
    assert played.rows(readings) == [
        # The scale's clock says 2021: the reading is kept and marked, not judged.
        (DEVICE_IDS["mi_scale_v1_181d"], "measured", True),
        (DEVICE_IDS["blood_pressure_2a35"], "failed", False),
    ]
    assert played.rows("select quantity_id, value from sample") == [(WEIGHT_ID, WEIGHT_KG)]
    assert played.rows("select reason from quarantine") == []
