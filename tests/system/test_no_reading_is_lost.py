"""R1: kill -9 anything, lose nothing, store nothing twice."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from devices.gatt.blood_pressure import BloodPressure
from simulator.demo.supervisor import Program
from simulator.devices.cuff import Cuff
from simulator.devices.recording import MEMORY_RECORDS_MAX, Habits
from simulator.embedded.broker import Broker, Mosquitto
from simulator.embedded.postgres import Postgres
from simulator.radio import VirtualRadio
from tests.conftest import missing
from tests.system.chain import Chain, care_record

READINGS = 1000
# Six an hour is the most a device may measure before ingest doubts it (docs/plausibility.md).
BETWEEN = timedelta(minutes=10)
ALWAYS_ON_AIR = Habits(wake_s=0.0, window_s=None, linger_s=0.1)
# So that a thousand records are still on their way when the last of the kills comes.
SLOW_TALKERS = Habits(wake_s=0.0, window_s=None, linger_s=0.1, pause_s=0.05)
KILLS = 60

# A gateway that takes the broker's acknowledgement for a receipt: what others do.
DELETES_ON_PUBACK = """
import asyncio, sys
from pathlib import Path
from gateway.commands.run import run
from gateway.config import load
from gateway.dispatch import Send
from gateway.uplink import Uplink

class DeletesOnPuback(Uplink):
    def acknowledged(self, send: Send) -> None:
        self._outbox.settle(stored=[row.reading_id for row in send.rows], refused={})

asyncio.run(run(load(Path(sys.argv[sys.argv.index("--config") + 1])), uplink_type=DeletesOnPuback))
"""


@pytest.fixture
async def radio() -> AsyncIterator[VirtualRadio]:
    async with VirtualRadio() as radio:
        yield radio


@pytest.fixture
def chain(
    tmp_path: Path, own_postgres: Postgres, own_broker: Broker, radio: VirtualRadio
) -> Iterator[Chain]:
    chain = Chain(tmp_path, own_postgres, own_broker, radio.transport)
    yield chain
    chain.stop()


def full_cuffs(readings: int, habits: Habits = ALWAYS_ON_AIR) -> list[Cuff]:
    """Return cuffs with so many records in all, each record's bytes different from the rest's."""
    cuffs = []
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    for first in range(0, readings, MEMORY_RECORDS_MAX):
        cuff = Cuff(f"Cuff {first}", habits=habits)
        for number in range(first, min(first + MEMORY_RECORDS_MAX, readings)):
            age = (number - first + 1) * BETWEEN
            record = BloodPressure(
                systolic=120 + number % 20,
                diastolic=80,
                mean=93,
                time_stamp=now - age,
                pulse=60 + first // MEMORY_RECORDS_MAX,
            )
            cuff.record(record.encode())
        cuffs.append(cuff)
    return cuffs


def assert_each_is_stored_once(chain: Chain, cuffs: list[Cuff]) -> None:
    """Every payload that a cuff sent is there once, and no other."""
    assert [cuff.pending for cuff in cuffs] == [0] * len(cuffs)
    assert chain.stored() == READINGS
    assert chain.rows("select count(distinct payload) from reading") == [(READINGS,)]
    assert chain.rows("select quantity_id, count(*) from sample group by 1 order by 1") == [
        (quantity_id, READINGS) for quantity_id in (1, 2, 3, 4)
    ]
    assert chain.rows("select reason, count(*) from quarantine group by 1") == []


def _holds(chain: Chain, readings: int) -> bool:
    return chain.stored() >= readings


async def test_a_kill_of_each_part_in_the_middle_of_a_thousand_readings_loses_none(
    chain: Chain, radio: VirtualRadio
) -> None:
    cuffs = full_cuffs(READINGS)
    chain.prepare(care_record([cuff.device_id for cuff in cuffs]))
    chain.ingest.start()
    chain.gateway.start()

    parts: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (chain.gateway.kill, chain.gateway.start),
        (chain.broker.kill, chain.broker.start),
        (chain.ingest.kill, chain.ingest.start),
        (chain.postgres.kill, chain.postgres.start),
    ]
    # A cuff is carried into the room before each kill, and one after the last: whatever the
    # speed, each part dies while readings are under way and more are to come.
    for number, (kill, start) in enumerate(parts):
        await radio.attach(cuffs[number])
        enough = number * MEMORY_RECORDS_MAX + 1
        await chain.until(f"{enough} readings stored", partial(_holds, chain, enough))
        kill()
        start()
    assert chain.stored() < READINGS
    await radio.attach(cuffs[-1])

    await chain.until(f"{READINGS} readings stored", lambda: chain.stored() >= READINGS)
    await chain.until("the gateway has every receipt", lambda: chain.waiting() == 0)
    assert_each_is_stored_once(chain, cuffs)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_sixty_kills_of_gateway_and_broker_at_random_moments_lose_none(
    tmp_path: Path, radio: VirtualRadio
) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    seed = Random().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    random = Random(seed)
    cuffs = full_cuffs(READINGS, SLOW_TALKERS)
    with Postgres(tmp_path / "postgres") as postgres, Mosquitto(tmp_path / "broker") as broker:
        chain = Chain(tmp_path, postgres, broker, radio.transport)
        chain.prepare(care_record([cuff.device_id for cuff in cuffs]))
        try:
            chain.ingest.start()
            chain.gateway.start()
            for cuff in cuffs:
                await radio.attach(cuff)
            await chain.until("a reading stored", partial(_holds, chain, 1))
            victims: list[Program | Broker] = [chain.gateway, chain.broker] * (KILLS // 2)
            random.shuffle(victims)
            for victim in victims:
                # The moment is the point: from before the first connection to amid the sending.
                await asyncio.sleep(random.uniform(0.1, 1.3))
                victim.kill()
                victim.start()
            stored = chain.stored()
            print(f"{stored} stored before the last kill")  # noqa: T201
            assert stored < READINGS, "the load ended before the kills"
            for cuff in cuffs:
                cuff.habits = ALWAYS_ON_AIR
            await chain.until("all stored", partial(_holds, chain, READINGS))
            await chain.until("the gateway has every receipt", lambda: chain.waiting() == 0)
            assert_each_is_stored_once(chain, cuffs)
        finally:
            chain.stop()


@pytest.mark.parametrize(
    ("command", "is_careful"),
    [([], True), ([sys.executable, "-c", DELETES_ON_PUBACK], False)],
    ids=["receipts", "control"],
)
async def test_a_broker_that_forgets_what_it_acknowledged_costs_only_the_control_its_readings(
    command: list[str], is_careful: bool, tmp_path: Path, broker: Broker, radio: VirtualRadio
) -> None:
    first, *rest = full_cuffs(3 * MEMORY_RECORDS_MAX)
    with Postgres(tmp_path / "postgres") as postgres:
        chain = Chain(tmp_path, postgres, broker, radio.transport, command)
        chain.prepare(care_record([cuff.device_id for cuff in (first, *rest)]))
        try:
            chain.ingest.start()
            # Else the broker throws away what the careless one sends before anybody listens.
            await chain.until("ingest listens", lambda: _subscriptions(chain) > 0)
            chain.gateway.start()
            await radio.attach(first)
            await chain.until("first cuff", lambda: chain.stored() == MEMORY_RECORDS_MAX)

            # Ingest is away. The broker takes 200 readings and acknowledges them, and is killed.
            chain.ingest.kill()
            await radio.attach(rest[0])
            await rest[0].drained()
            await chain.until("sent", lambda: _is_sent(chain, is_careful=is_careful))
            broker.kill()
            broker.start()
            subscribed = _subscriptions(chain)
            chain.ingest.start()
            await chain.until("ingest listens", lambda: _subscriptions(chain) > subscribed)

            # What comes after is stored in both cases: it is only the middle that can be gone.
            await radio.attach(rest[1])
            await chain.until("last cuff", lambda: _stored_of(chain, rest[1]) == MEMORY_RECORDS_MAX)
            if is_careful:
                await chain.until(
                    "middle cuff", lambda: _stored_of(chain, rest[0]) == MEMORY_RECORDS_MAX
                )
            else:
                await chain.until("nothing is left to send", lambda: chain.waiting() == 0)
                assert _stored_of(chain, rest[0]) < MEMORY_RECORDS_MAX
        finally:
            chain.stop()


def _is_sent(chain: Chain, *, is_careful: bool) -> bool:
    """Whether all has been published: the careless one then holds nothing, the careful all."""
    if is_careful:
        return "uplink.no_receipt" in chain.gateway.log_file.read_text()
    return chain.waiting() == 0


def _subscriptions(chain: Chain) -> int:
    return chain.ingest.log_file.read_text().count("broker.subscribed")


def _stored_of(chain: Chain, cuff: Cuff) -> int:
    found = chain.rows("select count(*) from reading where device_id = %s", cuff.device_id)
    return int(found[0][0]) if found else 0
