"""What is lent on a page is served in the home, and what happens there is seen on the page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.embedded.broker import EmbeddedBroker
from simulator.embedded.postgres import Postgres
from simulator.radio import VirtualRadio
from tests.system.chain import GATEWAY_ID, Chain, care_record

pytestmark = pytest.mark.timeout(240)

HERS, NEIGHBOURS = "C4:64:E3:00:00:01", "C4:64:E3:00:00:02"


class House:
    """Two cuffs within reach of one gateway, which stands at one patient's; she has one of them."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        habits = Habits(wake_s=0, linger_s=0.1, window_s=None)
        self.hers, self.neighbours = (
            Cuff(f"BP-{address[-1]}", address=address, habits=habits, clock=DeviceClock())
            for address in (HERS, NEIGHBOURS)
        )

    def status(self, column: str) -> Any:
        found = self.chain.rows(
            f"select {column} from gateway_status where gateway_id = %s", GATEWAY_ID
        )
        return found[0][0] if found else None

    def devices(self) -> set[str]:
        """Return the devices whose readings have come as far as the database."""
        rows = self.chain.rows(
            "select device_id from reading union select device_id from quarantine"
        )
        return {device_id for (device_id,) in rows}

    def do(self, statement: str, *values: object) -> None:
        self.chain.rows(f"{statement} returning 1", *values)


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[House]:
    with (
        Postgres(directory / "postgres", settings={"fsync": "off"}) as postgres,
        EmbeddedBroker(directory / "broker") as broker,
    ):
        async with VirtualRadio() as radio:
            chain = Chain(directory, postgres, broker, radio.transport)
            record = care_record([HERS])
            record["patients"][0]["gateway"] = GATEWAY_ID
            chain.prepare(record)
            house = House(chain)
            await radio.attach(house.hers)
            await radio.attach(house.neighbours)
            try:
                chain.ingest.start()
                chain.gateway.start()
                yield house
            finally:
                chain.stop()


async def test_what_is_lent_is_served_and_what_is_not_is_left_alone(tmp_path: Path) -> None:
    async with living(tmp_path) as house:
        chain = house.chain
        await chain.until("the list is in force", lambda: house.status("config_version") == 1)

        house.neighbours.measure(150, 90, 70)
        house.hers.measure(128, 81, 66)
        await chain.until("hers is stored", lambda: chain.stored() == 1)
        assert house.devices() == {HERS}

        # Lent, without a restart of anything: what waits in the device comes at once.
        house.do(
            "insert into device_loan (patient_id, device_id, lent_from) "
            "select patient_id, %s, now() - interval '1 day' from device_loan limit 1",
            NEIGHBOURS,
        )
        await chain.until("the new list is in force", lambda: house.status("config_version") == 2)
        house.neighbours.measure(151, 91, 71)
        await chain.until("both are stored", lambda: chain.stored() == 3)

        # The broker is away and the gateway starts anew: the list it kept is in force.
        chain.broker.stop()
        chain.gateway.stop()
        house.do("update device_loan set returned_at = now() where device_id = %s", NEIGHBOURS)
        chain.gateway.start()
        house.hers.measure(129, 82, 67)
        await chain.until("it is kept", lambda: chain.waiting() == 1)
        chain.broker.start()
        await chain.until("it is stored", lambda: chain.stored() == 4)
        await chain.until("the third list", lambda: house.status("config_version") == 3)
    kept = json.loads((tmp_path / "gateway" / "config.json").read_bytes())
    assert [device["device_id"] for device in kept["config"]["devices"]] == [HERS]


async def test_a_pairing_that_is_asked_for_is_followed_to_its_end(tmp_path: Path) -> None:
    async with living(tmp_path) as house:
        chain = house.chain
        await chain.until("the list is in force", lambda: house.status("config_version") == 1)
        house.do(
            "insert into pairing_request (request_id, gateway_id, model, device_id, expires_at) "
            "values ('p-1', %s, 'standard_cuff', %s, now() + interval '10 minutes')",
            GATEWAY_ID,
            HERS,
        )

        def step() -> str | None:
            found = chain.rows("select step from pairing_request")
            return str(found[0][0]) if found else None

        await chain.until("it is searched for", lambda: step() == "searching")
        house.hers.measure(128, 81, 66)
        await chain.until("it is bonded", lambda: step() in ("measure", "done"))
        house.hers.measure(130, 82, 67)
        await chain.until("it is done", lambda: step() == "done")
        await chain.until("it is let go", lambda: house.status("config_version") == 3)
        told = house.status("body->'devices'->0->>'bond'")
    assert told in ("paired", "proven")
