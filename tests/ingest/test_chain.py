"""The whole of ingest as a process, with a real broker and a real database."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from devices.reading import Reading
from ingest.quarantine import Reason
from simulator.embedded.broker import Broker, EmbeddedBroker
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.ingest.county import NOW, County, fill, message, pressure
from tests.ingest.garbage import payloads
from tests.ingest.process import WAIT_S, connected, running


def _load(county: County, messages: int, size: int) -> list[list[Reading]]:
    """Return messages from as many devices, all lent."""
    load = []
    for number in range(messages):
        county.lend(f"D{number}", county.patient_id)
        load.append(
            [
                pressure(120, 80, device_id=f"D{number}", measured_at=NOW - timedelta(hours=n))
                for n in range(size)
            ]
        )
    return load


def test_a_receipt_comes_only_after_the_commit(
    county: County, broker: Broker, tmp_path: Path
) -> None:
    with (
        running(tmp_path, county.dsn, broker.port) as ingest,
        connected(broker.port, county.dsn) as gateway,
    ):
        for readings in (_load(county, 1, 1)[0], _load(county, 1, 20)[0], _load(county, 1, 200)[0]):
            received = gateway.receipt(gateway.send(message(readings)))
            ids = {one.reading_id for one in readings}
            assert set(received.receipt.stored) == ids
            assert received.receipt.refused == ()
            assert ids <= received.stored  # seen from another connection when the receipt came
        assert ingest.stop() == 0
    assert county.count("reading") == 221


def test_a_message_again_is_stored_once_and_answered_again(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    payload = message([pressure(192, 112)])
    with (
        running(tmp_path, plain_county.dsn, broker.port),
        connected(broker.port) as gateway,
    ):
        first = gateway.receipt(gateway.send(payload)).receipt
        again = [gateway.receipt(gateway.send(payload)).receipt for _ in range(3)]
    assert again == [first] * 3
    assert plain_county.count("reading") == plain_county.count("alert_log") == 1


def test_refusals_come_back_with_their_reasons(
    plain_county: County, embedded_broker: Broker, tmp_path: Path
) -> None:
    good, unknown = pressure(120, 80), pressure(120, 80, device_id="unknown")
    with (
        running(tmp_path, plain_county.dsn, embedded_broker.port),
        connected(embedded_broker.port) as gateway,
    ):
        mixed = gateway.receipt(gateway.send(message([good, unknown]))).receipt
        foreign = gateway.receipt(gateway.send(message([good], "g-other"))).receipt
        nonsense = gateway.receipt(gateway.send(b"\xff\x00nonsense")).receipt
    assert mixed.stored == (good.reading_id,)
    (refusal,) = mixed.refused
    assert (refusal.reading_id, refusal.reason) == (unknown.reading_id, Reason.UNASSIGNED)
    assert "nobody had unknown on loan" in refusal.detail
    assert (foreign.message_refused or "").startswith(Reason.GATEWAY_MISMATCH)
    assert (nonsense.message_refused or "").startswith(Reason.MALFORMED_MESSAGE)
    assert plain_county.count("quarantine") == 3


def test_ingest_killed_under_load_loses_and_doubles_nothing(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    load = _load(plain_county, 100, 5)
    with (
        running(tmp_path, plain_county.dsn, broker.port) as ingest,
        connected(broker.port) as gateway,
    ):

        def kill_and_start() -> None:
            ingest.kill()
            ingest.start()

        gateway.deliver(load, kill_and_start)
    assert (plain_county.count("reading"), plain_county.count("sample")) == (500, 1000)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Postgres]:
    """A server that this test may kill; it keeps what it has committed."""
    with Postgres(tmp_path / "postgres") as server:
        yield server


@pytest.mark.timeout(120)
def test_a_database_killed_under_load_costs_nothing_and_ingest_stays(
    own_server: Postgres, embedded_broker: Broker, tmp_path: Path
) -> None:
    filling = fill(own_server.dsn())
    load = _load(next(filling), 100, 5)
    filling.close()
    with (
        running(tmp_path, own_server.dsn(), embedded_broker.port) as ingest,
        connected(embedded_broker.port) as gateway,
    ):

        def kill_and_start() -> None:
            own_server.kill()
            gateway.send(message(load[0]))  # so that ingest notices while it is away
            ingest.wait_for("database.retry")
            own_server.start()

        gateway.deliver(load, kill_and_start)
        assert ingest.process.poll() is None
        assert "database.back" in ingest.log()
    with psycopg.connect(own_server.dsn()) as connection:
        rows = connection.execute(
            "select (select count(*) from reading), (select count(*) from sample)"
        ).fetchall()
    assert rows == [(500, 1000)]


def test_a_broker_that_comes_late_is_named_and_then_used(
    plain_county: County, tmp_path: Path
) -> None:
    port = free_port()
    with running(tmp_path, plain_county.dsn, port, ready="broker.unreachable") as ingest:
        assert f'"key": "broker.host", "address": "127.0.0.1:{port}"' in ingest.log()
        with EmbeddedBroker(tmp_path / "broker", port=port):
            ingest.wait_for("broker.subscribed")
            with connected(port) as gateway:
                one = pressure(120, 80)
                assert gateway.receipt(gateway.send(message([one]))).receipt.stored == (
                    one.reading_id,
                )


def test_a_database_that_is_away_at_start_is_named_and_a_stop_is_heard(
    tmp_path: Path, embedded_broker: Broker
) -> None:
    dsn = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with running(tmp_path, dsn, embedded_broker.port, ready="database.unreachable") as ingest:
        assert '"key": "database.dsn"' in ingest.log()
        assert ingest.stop() == 0


def test_a_stop_while_the_database_is_away_ends_in_time_and_loses_nothing(
    own_server: Postgres, embedded_broker: Broker, tmp_path: Path
) -> None:
    filling = fill(own_server.dsn())
    load = _load(next(filling), 1, 3)
    filling.close()
    with (
        running(tmp_path, own_server.dsn(), embedded_broker.port) as ingest,
        connected(embedded_broker.port) as gateway,
    ):
        own_server.kill()
        gateway.send(message(load[0]))
        ingest.wait_for("database.retry")
        assert ingest.stop() == 0
        own_server.start()
        ingest.start()
        gateway.deliver(load, lambda: None)


# Shared subscriptions are for real brokers.
@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_workers_of_one_group_share_the_load(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    load = _load(plain_county, 60, 2)
    environment = {"EGENMONITOR_INGEST__BROKER__SHARED_GROUP": "workers"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        running(tmp_path / "a", plain_county.dsn, broker.port, **environment) as one,
        running(tmp_path / "b", plain_county.dsn, broker.port, **environment) as other,
        connected(broker.port) as gateway,
    ):
        gateway.deliver(load, lambda: None)
        assert (one.stop(), other.stop()) == (0, 0)
        for worker in (one, other):
            (line,) = [line for line in worker.log().splitlines() if "ingest.progress" in line]
            assert '"new": 0' not in line
    assert plain_county.count("reading") == 120


@pytest.mark.timeout(120)
def test_thousands_of_broken_payloads_store_nothing_and_hold_up_nobody(
    plain_county: County, broker: Broker, tmp_path: Path
) -> None:
    seed = int(os.environ.get("EGENMONITOR_SEED") or random.randrange(2**32))
    print(f"EGENMONITOR_SEED={seed}")  # noqa: T201 - shown when it fails
    sent = [payload for payload in payloads(3_000, seed) if payload]
    with (
        running(tmp_path, plain_county.dsn, broker.port) as ingest,
        connected(broker.port) as gateway,
    ):
        correlations = {gateway.send(payload) for payload in sent}
        one = pressure(120, 80)
        last = gateway.send(message([one]))
        stored: dict[bytes, tuple[UUID, ...]] = {}
        while len(stored) <= len(correlations):
            received = gateway.received.get(timeout=WAIT_S)
            stored[received.correlation] = received.receipt.stored
        assert stored == dict.fromkeys(correlations, ()) | {last: (one.reading_id,)}
        assert ingest.process.poll() is None
    assert plain_county.count("reading") == 1
    reasons = {row[0] for row in plain_county.rows("select distinct reason from quarantine")}
    assert reasons <= {reason.value for reason in Reason}
    assert "malformed_message" in reasons


def test_check_config_names_what_cannot_be_reached(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "ingest.toml"
    config.write_text(
        f'[database]\ndsn = "postgresql://nobody@127.0.0.1:{port}/none"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    command = [sys.executable, "-m", "ingest", "check-config", "--config", str(config)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    done = subprocess.run([*command, "--connect"], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["database.dsn", "broker.host"]
    assert all(f"127.0.0.1:{port}" in line and "→" in line for line in lines)
