"""The box on a guarded site: enrolled, delivering, renewing; no open port, no secret told."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from gateway.certificate import Enrolled, enrolled
from gateway.config import load
from gateway.database import Database
from gateway.health import Health
from gateway.heartbeat import Heartbeat
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.renewal import RENEW_FROM, SPREAD, Renewal
from gateway.uplink import Uplink
from simulator.demo.supervisor import Program
from simulator.embedded.broker import Mosquitto
from simulator.embedded.postgres import Postgres
from tests.conftest import missing
from tests.gateway.material import reading
from tests.system.chain import wait_until
from tests.system.site import Site, running_site


@pytest.fixture
def site(plain_postgres: Postgres, tmp_path: Path) -> Iterator[Site]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    name = f"site_{uuid4().hex}"
    with psycopg.connect(plain_postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    with running_site(tmp_path, plain_postgres.dsn(name)) as running:
        yield running


def command(site: Site, *words: str, told: str = "") -> str:
    """Run one of our commands as an operator or a technician does; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", *words], input=told, capture_output=True, text=True, check=False
    )
    with (site.directory / "commands.log").open("a") as log:
        log.write(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def config(site: Site) -> Path:
    """A box's configuration that says nothing of broker, id or certificate."""
    path = site.directory / "gateway.toml"
    path.write_text(
        f"""
        data_dir = "{site.directory}/box"
        [radio]
        backend = "bumble"
        transport = "tcp-client:127.0.0.1:9"
        [clock]
        doubt_after_boot_s = 0
        [heartbeat]
        interval_s = 1
        """
    )
    return path


def enrol(site: Site, config: Path) -> str:
    """Enrol the box by the commands alone; return the code."""
    alerts = ("--config", str(site.config))
    printed = command(site, "alerts", "gateway", "new-code", "g-box", *alerts)
    code = printed.splitlines()[0]
    command(
        site,
        *("gateway", "enrol", "--server", site.address, "--config", str(config)),
        told=f"{code}\n",
    )
    return code


async def test_a_box_with_a_code_is_online_listens_nowhere_and_tells_no_secret(
    site: Site, config: Path
) -> None:
    code = await asyncio.to_thread(enrol, site, config)
    box = Program(
        [sys.executable, "-m", "gateway", "run", "--config", str(config)],
        site.directory / "gateway.log",
    )
    box.start()
    try:
        status = "select count(*) from gateway_status where gateway_id = 'g-box'"
        await wait_until("a heartbeat", lambda: site.one(status) == 1, site.logs)
        assert box.pid is not None
        assert listening(box.pid) == []
        found = enrolled(site.directory / "box")
        assert found is not None
        until = site.one("select body->>'certificate_until' from gateway_status")
        assert datetime.fromisoformat(until) == found.valid_until
        assert_nothing_is_told(site, secrets(site, found, code), [box, site.alerts, site.ingest])
    finally:
        box.stop()


def listening(pid: int) -> list[str]:
    """Return the TCP and UDP sockets on which a process takes what comes, as Linux tells."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
        except FileNotFoundError:
            continue
        if found:
            inodes.add(found[1])
    sockets = []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            # 0A is LISTEN; an unconnected UDP socket takes what comes too.
            takes = fields[3] == "0A" if kind.startswith("tcp") else fields[2].endswith(":0000")
            if takes and fields[9] in inodes:
                sockets.append(f"{kind} {fields[1]}")
    return sockets


def test_the_look_at_proc_sees_a_listener(site: Site) -> None:
    """Or the test above could never fail: alerts listens, and so does a UDP socket."""
    assert site.alerts.pid is not None
    assert [each.split()[0] for each in listening(site.alerts.pid)] == ["tcp"]
    program = (
        "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0));"
        " print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [each.split()[0] for each in listening(process.pid)] == ["udp"]
        process.communicate()


def secrets(site: Site, found: Enrolled, code: str) -> list[str]:
    """Return what must be in no log: the code, and the middle of every private key."""
    keys = [
        found.key_file,
        site.directory / "authority/ca.key",
        site.directory / "broker_tls/key.pem",
        site.directory / "services/ingest/key.pem",
    ]
    bodies = ["".join(key.read_text().splitlines()[1:-1]) for key in keys]
    password = re.search(r":([^:@]+)@", site.dsn)
    assert password is not None
    return [code, code.replace("-", ""), password[1], *(body[40:80] for body in bodies)]


def assert_nothing_is_told(site: Site, hidden: list[str], programs: list[Program]) -> None:
    """Look in every log, and where ``ps`` looks."""
    logs = {path.name: path.read_text() for path in site.directory.glob("*.log")}
    logs["broker.log"] = site.broker.log_file.read_text()
    # The operator is shown the code once; her terminal is no log.
    logs["commands.log"] = logs["commands.log"].replace(hidden[0], "", 1)
    assert {"gateway.log", "alerts.log", "ingest.log", "commands.log"} <= set(logs)
    for program in programs:
        assert program.pid is not None
        place = Path(f"/proc/{program.pid}/cmdline")
        logs[f"ps {program.pid}"] = place.read_bytes().decode()
    for name, text in logs.items():
        for secret in hidden:
            assert secret not in text, name
        assert "PRIVATE KEY" not in text, name


async def test_readings_flow_through_a_renewal_without_a_gap(site: Site, config: Path) -> None:
    """The connection is made anew; then the old certificate is revoked, and nobody notices."""
    await asyncio.to_thread(enrol, site, config)
    settings, wake, stop = load(config), asyncio.Event(), asyncio.Event()
    old = enrolled(settings.data_dir)
    assert old is not None
    ahead = timedelta(0)
    connections = 0

    class Watched(Uplink):
        def _connected(self, connection: object) -> None:
            nonlocal connections
            connections += 1
            super()._connected(connection)  # type: ignore[arg-type]

    with Database(settings.data_dir) as database:
        inbox = Inbox(database)
        outbox = Outbox(database, inbox, on_append=wake.set)
        health = Health(on_change=wake.set)
        heartbeat = Heartbeat("g-box", 60, inbox=inbox, outbox=outbox, health=health, now=utc_now)
        uplink = Watched(
            settings.uplink,
            settings.gateway_id,
            outbox=outbox,
            heartbeat=heartbeat,
            health=health,
            wake=wake,
            now=utc_now,
        )
        renewal = Renewal(
            settings.data_dir,
            health=health,
            now=lambda: utc_now() + ahead,
            is_clock_sure=lambda: True,
            on_renewed=uplink.reconnect,
            look_s=0.05,
        )
        running = asyncio.create_task(uplink.run(stop))
        watching = asyncio.create_task(renewal.run())

        async def deliver(first: int) -> None:
            for number in range(first, first + 20):
                outbox.append([reading(number)])
            await wait_until("receipts", lambda: outbox.depth == 0, site.logs)

        await deliver(0)
        assert connections == 1
        ahead = old.at_fraction(RENEW_FROM + SPREAD) - utc_now()
        await deliver(20)
        await wait_until("renewal", lambda: connections == 2, site.logs)
        new = enrolled(settings.data_dir)
        assert new is not None
        assert new.serial != old.serial
        assert health.conditions == ()
        await deliver(40)
        # Proof that the new one is in use: without the old one nothing is different.
        await asyncio.to_thread(site.revoke_certificate, old.serial)
        await deliver(60)
        assert connections == 3
        watching.cancel()
        stop.set()
        wake.set()
        await running
    refused = "select count(distinct reading_id) from quarantine where gateway_id = 'g-box'"
    assert site.one(refused) == 80  # of a device that nobody lent: refused, and so answered


def utc_now() -> datetime:
    return datetime.now(UTC)
