"""R9: ten times a county's peak on one worker, and a database that stands still in the middle.

A few seconds long by default; EGENMONITOR_FLOOD_S=60 is the minute that is promised.
"""

import os
import queue
import threading
from math import ceil
from pathlib import Path
from random import Random

import psycopg
import pytest

from simulator.embedded.broker import Mosquitto
from tests.conftest import missing
from tests.ingest.county import message
from tests.ingest.process import WAIT_S, Gateway, until
from tests.ingest.test_watch import Watched, watched
from tests.system.load import READINGS_EACH_MAX, People, populate, rows

FLOOD_S = float(os.environ.get("EGENMONITOR_FLOOD_S", "3"))
# A county of 300,000 people has some 1,000 readings a second at its peak.
READINGS_PER_S = 10_000
MESSAGE_READINGS = 20
MEMORY_MIB_MAX = 300
RECEIVE_MAX = 5_000  # batch.receive_max
# Shorter than a statement may take, so that it is waiting that is seen and not giving up.
STANDSTILL_S = min(FLOOD_S / 2, 20.0)


def memory_mib(process_id: int) -> float:
    """Return the most memory that a process has had."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError


class Flood(threading.Thread):
    """Sends messages at a pace, whether anybody keeps up or not."""

    def __init__(self, gateway: Gateway, payloads: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._gateway = gateway
        self._payloads = payloads

    def run(self) -> None:
        pause = threading.Event()
        for number, payload in enumerate(self._payloads):
            self._gateway.send(payload)
            if number % 10 == 0:
                pause.wait(10 * MESSAGE_READINGS / READINGS_PER_S)


def lagged(worker: Watched) -> float:
    """Return how many readings waited longer than a second in the worker."""
    counted = worker.number("lag_seconds_count", since="arrived")
    return counted - worker.number("lag_seconds_bucket", since="arrived", le="1.0")


def stand_still(dsn: str, worker: Watched) -> float:
    """Let nobody write for a while; return the largest backlog that the worker told."""
    most = 0.0
    watching = threading.Event()
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table reading in share mode")
        for _ in range(ceil(STANDSTILL_S / 0.1)):
            most = max(most, worker.number("backlog"))
            watching.wait(0.1)
    return most


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * FLOOD_S)
def test_a_flood_waits_in_the_broker_and_drains(plain_database: str, tmp_path: Path) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    size = int(FLOOD_S * READINGS_PER_S)
    people, (name,) = populate(plain_database, ceil(size / READINGS_EACH_MAX), 1)
    measured = people.readings(Random(1), list(people.patients))
    payloads = []
    for _ in range(size // MESSAGE_READINGS):
        some = [one for _, one in zip(range(MESSAGE_READINGS), measured, strict=False)]
        payloads.append(message(some, name))
    with (
        Mosquitto(tmp_path / "broker") as broker,
        watched(tmp_path, plain_database, broker.port) as worker,
    ):
        at_rest_mib = memory_mib(worker.ingest.process.pid)
        gateway = Gateway(broker.port, name)
        flood = Flood(gateway, payloads)
        flood.start()
        until(lambda: worker.number("readings_total", outcome="new") > 0, lambda: "the flood")
        backlog = stand_still(plain_database, worker)
        flood.join()
        assert _receipts(gateway, people) == set(people.sent)
        gateway.close()
        until(lambda: worker.number("backlog") == 0, lambda: "nothing in hand")
        most_mib = memory_mib(worker.ingest.process.pid)
        print(  # noqa: T201 - shown when it fails, and with -s
            f"{size} readings in {FLOOD_S:g} s; at rest {at_rest_mib:.0f} MiB, at most "
            f"{most_mib:.0f} MiB; backlog at most {backlog:.0f} messages; "
            f"{lagged(worker):.0f} readings waited longer than a second"
        )
        assert 100 < backlog <= 2 * RECEIVE_MAX
        assert lagged(worker) > 0
        assert most_mib < MEMORY_MIB_MAX
        assert worker.ask("/readyz") == (200, "ok\n")
    assert rows(plain_database, "select count(*) from reading") == [(len(people.sent),)]
    assert rows(plain_database, "select count(*) from breach where rule_key = ''") == [
        (people.expected_breaches().total(),)
    ]


def _receipts(gateway: Gateway, people: People) -> set[object]:
    """Return what receipts say is stored, until that is all or none comes any more."""
    stored: set[object] = set()
    while len(stored) < len(people.sent):
        try:
            stored |= set(gateway.received.get(timeout=WAIT_S).receipt.stored)
        except queue.Empty:
            break
    return stored
