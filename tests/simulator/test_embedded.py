"""The servers under test are themselves tested: they start, survive kill -9 and die with us."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from simulator.embedded import child
from simulator.embedded.broker import Broker
from simulator.embedded.child import free_port, is_listening
from simulator.embedded.postgres import Postgres


def test_postgres_keeps_its_rows_over_kill_and_restart(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("create table kept as select 42 as answer")
        server.kill()
        server.start()
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_directory_removed_and_made_again_gets_a_new_cluster(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as server, psycopg.connect(server.dsn()) as connection:
        connection.execute("create table gone ()")
    shutil.rmtree(tmp_path / "pg")
    with Postgres(tmp_path / "pg") as server, psycopg.connect(server.dsn()) as connection:
        found = connection.execute("select to_regclass('gone')").fetchone()
        assert found == (None,)


def test_a_cluster_outside_a_directory_that_is_gone_is_removed(tmp_path: Path) -> None:
    with Postgres(tmp_path / "first") as first:
        place = first.outside_data_directory()
    shutil.rmtree(tmp_path / "first")
    with Postgres(tmp_path / "second"):
        assert not place.exists()


def test_postgres_asks_for_a_password(tmp_path: Path) -> None:
    with (
        Postgres(tmp_path / "pg") as server,
        pytest.raises(psycopg.OperationalError, match="password authentication failed"),
    ):
        psycopg.connect(server.dsn_without_password(), password="wrong").close()


def test_a_broker_listens_until_it_is_stopped_and_again_on_the_same_port(broker: Broker) -> None:
    assert is_listening(broker.port)
    broker.kill()
    assert not is_listening(broker.port)
    broker.start()
    assert is_listening(broker.port)


def test_the_servers_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from simulator.embedded.broker import EmbeddedBroker\n"
        "from simulator.embedded.postgres import Postgres\n"
        f"p = Postgres(Path({str(tmp_path / 'pg')!r})); p.start()\n"
        f"b = EmbeddedBroker(Path({str(tmp_path / 'broker')!r})); b.start()\n"
        "print(p.pid, b.pid, flush=True); time.sleep(60)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    children = [int(word) for word in owner.stdout.readline().split()]
    watched = [os.pidfd_open(child) for child in children]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    for descriptor in watched:  # readable when the process has ended
        with os.fdopen(descriptor) as ended:
            assert _ends_within(ended.fileno(), seconds=10)


def _ends_within(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_a_free_port_is_none_that_the_system_gives_to_connections() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [free_port() for _ in range(50)]
    assert not [port for port in ports if first <= port <= last]


def test_a_free_port_is_not_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    monkeypatch.setattr(child, "_PORTS", range(taken, taken + 1))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        with pytest.raises(OSError, match="no port between"):
            free_port()
    assert free_port() == taken
