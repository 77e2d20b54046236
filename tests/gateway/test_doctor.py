"""The doctor: each thing that can be wrong is made wrong, and must be found with its cure."""

import fcntl
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from devices.wire import GatewayConfig, LentDevice
from gateway.config import Config, load
from gateway.database import BALLAST_NAME, FILE_NAME, LOCK_NAME, MIGRATIONS, Database
from gateway.doctor import Finding, Verdict, home, place
from gateway.doctor.adapter import adapter
from gateway.doctor.server import broker, certificate
from gateway.inbox import Inbox
from gateway.kept import Kept, write_kept
from gateway.outbox import Outbox
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.gateway.bluetoothd import bluetoothd, bus
from tests.gateway.certificates import Authority
from tests.gateway.material import START, gateway, reading, toml

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Box:
    """A configuration that is changed before it is read."""

    def __init__(self, directory: Path) -> None:
        self.path = toml(directory)
        self.data = directory / "data"
        with Database(self.data) as database:
            Outbox(database, Inbox(database)).append([reading(1)])

    def says(self, before: str, after: str) -> None:
        text = self.path.read_text()
        assert before in text
        self.path.write_text(text.replace(before, after))

    @property
    def config(self) -> Config:
        return load(self.path)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_a_good_place_is_called_good(box: Box) -> None:
    looks = (place.config_file(box.path), place.directory(box.config), place.store(box.config))
    for look in (*looks, place.disk(box.config)):
        assert only(look).verdict is Verdict.OK


def test_a_gateway_that_runs_is_seen_and_left_alone(box: Box) -> None:
    assert only(place.gateway(box.config)).verdict is Verdict.WARN
    with Database(box.data):
        assert only(place.gateway(box.config)).verdict is Verdict.OK
        assert only(place.store(box.config)).verdict is Verdict.OK
    with (box.data / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the doctor let go of it


def test_a_configuration_that_others_may_change_is_found(box: Box) -> None:
    box.path.chmod(0o666)
    finding = only(place.config_file(box.path))
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, f"chmod go-w {box.path}")


@pytest.mark.parametrize("name", ["keys", "identity-1a2b"])
def test_a_key_that_others_may_read_is_found(box: Box, name: str) -> None:
    key = box.data / name / "key.pem"
    key.parent.mkdir()
    key.write_text("secret")
    key.chmod(0o640)
    finding = only(place.directory(box.config))
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, f"chmod 600 {key}")
    key.chmod(0o600)
    assert only(place.directory(box.config)).verdict is Verdict.OK


def test_a_data_directory_that_is_open_or_gone_is_found(box: Box) -> None:
    box.data.chmod(0o755)
    assert only(place.directory(box.config)).cure == f"chmod 700 {box.data}"
    box.says('/data"', '/elsewhere"')
    assert "is not there" in only(place.directory(box.config)).words


def test_a_password_that_others_may_read_is_found(box: Box) -> None:
    secret = box.data.parent / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    box.says("[uplink]", f'[uplink]\nusername = "g"\npassword_file = "{secret}"')
    assert only(place.directory(box.config)).cure == f"chmod 600 {secret}"


def test_a_damaged_store_is_found(box: Box) -> None:
    (box.data / FILE_NAME).write_bytes(b"not a database at all" * 1000)
    finding = only(place.store(box.config))
    assert (finding.verdict, "cannot be read" in finding.words) == (Verdict.FAIL, True)


def test_a_store_without_tables_or_of_another_version_is_found(box: Box) -> None:
    for version, verdict in ((0, Verdict.WARN), (len(MIGRATIONS) + 1, Verdict.FAIL)):
        with sqlite3.connect(box.data / FILE_NAME) as connection:
            connection.execute(f"pragma user_version = {version}")
        connection.close()
        finding = only(place.store(box.config))
        assert (finding.verdict, f"of version {version}" in finding.words) == (verdict, True)
    (box.data / FILE_NAME).unlink()
    assert only(place.store(box.config)).verdict is Verdict.WARN


def test_a_full_disk_and_a_missing_reserve_are_found(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    (box.data / BALLAST_NAME).unlink()
    assert "reserve is not there" in only(place.disk(box.config)).words
    for bound, verdict in (
        ("FREE_BYTES_MIN", Verdict.WARN),
        ("BALLAST_BYTES", Verdict.FAIL),
    ):
        monkeypatch.setattr(place, bound, 2**60)  # no disk has so much room
        assert only(place.disk(box.config)).verdict is verdict


def test_a_card_that_takes_long_to_write_is_found(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "WRITE_S_GOOD", 0.0)
    assert "worn out" in only(place.disk(box.config)).cure


class Clocks:
    def __init__(self, wall: datetime, *, is_synchronised: bool) -> None:
        self._wall, self._is_synchronised = wall, is_synchronised

    def wall(self) -> datetime:
        return self._wall

    def since_boot(self) -> timedelta:
        return timedelta(hours=1)

    def boot_id(self) -> str:
        return "boot"

    def is_synchronised(self) -> bool:
        return self._is_synchronised


def test_a_clock_that_is_behind_its_own_readings_or_unsynchronised_is_found(box: Box) -> None:
    behind = START - timedelta(days=400)
    for wall, is_synchronised, verdict in (
        (NOW, True, Verdict.OK),
        (NOW, False, Verdict.WARN),
        (behind, True, Verdict.FAIL),
    ):
        clocks = Clocks(wall, is_synchronised=is_synchronised)
        assert only(home.clock(box.config, clocks)).verdict is verdict


async def test_the_broker_is_tried_and_what_is_wrong_is_said(
    box: Box, embedded_broker: Broker
) -> None:
    (finding,) = [each async for each in broker(box.config)]
    assert (finding.verdict, "nobody listens" in finding.words) == (Verdict.FAIL, True)
    box.says("port = 9", f"port = {embedded_broker.port}")
    (finding,) = [each async for each in broker(box.config)]
    assert finding.verdict is Verdict.WARN  # it lets us in, unencrypted


async def test_an_adapter_of_our_own_stack_is_reset_when_no_gateway_has_it(box: Box) -> None:
    (finding,) = [each async for each in adapter(box.config)]
    assert finding.verdict is Verdict.FAIL
    async with VirtualRadio() as radio:
        box.says("tcp-client:127.0.0.1:9", radio.transport)
        (finding,) = [each async for each in adapter(box.config)]
        assert (finding.verdict, "answers a reset" in finding.words) == (Verdict.OK, True)
        resets = radio.adapter.resets
        with Database(box.data):
            (finding,) = [each async for each in adapter(box.config)]
        assert (finding.verdict, "running" in finding.words) == (Verdict.OK, True)
        assert radio.adapter.resets == resets


@pytest.mark.parametrize(
    ("adapters", "wanted", "told"),
    [
        ({"hci0": True}, "", (Verdict.OK, "hci0")),
        ({"hci0": False, "hci1": True}, "hci1", (Verdict.OK, "hci1")),
        ({"hci0": False}, "", (Verdict.FAIL, "switched off")),
        ({"hci0": True}, "hci7", (Verdict.FAIL, "does not see hci7; it sees hci0")),
        ({}, "", (Verdict.FAIL, "does not see a Bluetooth adapter")),
    ],
)
async def test_bluetoothd_is_asked_what_it_has(
    box: Box,
    monkeypatch: pytest.MonkeyPatch,
    adapters: dict[str, bool],
    wanted: str,
    told: tuple[Verdict, str],
) -> None:
    verdict, words = told
    bluez(box, wanted)
    async with bus(box.path.parent) as address, bluetoothd(address, adapters):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        (finding,) = [each async for each in adapter(box.config)]
    assert (finding.verdict, words in finding.words) == (verdict, True), finding


async def test_a_bluetoothd_that_is_absent_or_forbidden_is_told_apart(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    bluez(box)
    async with bus(box.path.parent) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        (finding,) = [each async for each in adapter(box.config)]
        assert "does not run" in finding.words
    (box.path.parent / "bus").unlink(missing_ok=True)
    closed = bus(box.path.parent, may_speak=False)
    async with closed as address, bluetoothd(address, {"hci0": True}):
        (finding,) = [each async for each in adapter(box.config)]
        assert "may not speak to bluetoothd" in finding.words


async def test_a_machine_without_a_message_bus_is_told(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bluez(box)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    (finding,) = [each async for each in adapter(box.config)]
    assert "apt install dbus" in finding.cure


def bluez(box: Box, wanted: str = "") -> None:
    box.says('"bumble"', '"bluez"')
    box.says('transport = "tcp-client:127.0.0.1:9"', f'adapter = "{wanted}"' if wanted else "")


def test_the_lending_list_is_counted_and_an_empty_or_open_one_is_told(box: Box) -> None:
    assert only(home.lending(box.config)).verdict is Verdict.WARN  # serves everybody
    for lent, verdict in (((), Verdict.WARN), (("C4:64:E3:00:00:01",), Verdict.OK)):
        devices = tuple(LentDevice(device_id=each) for each in lent)
        sent = GatewayConfig(v=1, gateway="g-test", config_version=4, at=NOW, devices=devices)
        write_kept(box.data, Kept(config=sent))
        finding = only(home.lending(box.config))
        assert (finding.verdict, "version 4" in finding.words) == (verdict, True)


@pytest.mark.parametrize(
    ("section", "verdict"),
    [
        ('output = "command"\ncommand = ["true"]', Verdict.OK),
        ('output = "command"\ncommand = ["/no/such/program"]', Verdict.FAIL),
        ('output = "none"', Verdict.OK),
    ],
)
def test_a_light_that_cannot_work_is_found(box: Box, section: str, verdict: Verdict) -> None:
    box.says("[heartbeat]", f"[feedback]\n{section}\n[heartbeat]")
    assert only(home.feedback(box.config)).verdict is verdict


def test_a_certificate_of_our_own_is_counted_in_days(box: Box, tmp_path: Path) -> None:
    assert only(certificate(box.config, NOW)).verdict is Verdict.WARN
    cert_file, key_file = Authority(tmp_path, "ca").issue("g-test")
    key_file.chmod(0o600)
    box.says("[uplink]", f'[uplink]\ncert_file = "{cert_file}"\nkey_file = "{key_file}"')
    ends = x509.load_pem_x509_certificate(cert_file.read_bytes()).not_valid_after_utc
    for now, verdict in (
        (ends - timedelta(days=31), Verdict.OK),
        (ends - timedelta(days=29), Verdict.WARN),
        (ends, Verdict.FAIL),
    ):
        assert only(certificate(box.config, now)).verdict is verdict


def doctor(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "doctor", "--config", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_a_line_a_check_and_a_cure_and_ends_with_1(box: Box) -> None:
    ran = doctor(box.path, "--json")
    findings = json.loads(ran.stdout)
    assert ran.returncode == 1, ran.stderr
    assert len({each["check"] for each in findings}) == len(findings) == 12
    assert all(bool(each["cure"]) == (each["verdict"] != "ok") for each in findings)
    shown = doctor(box.path)
    assert shown.returncode == 1
    for each in findings:
        assert each["check"] in shown.stdout
    assert "→" in shown.stdout


def test_a_bad_configuration_is_a_finding_too(box: Box) -> None:
    box.says("[uplink]", "[uplink]\nhots = 1")
    ran = doctor(box.path, "--json")
    (finding,) = json.loads(ran.stdout)
    assert (ran.returncode, finding["check"]) == (1, "configuration")
    assert "uplink.hots" in finding["words"]


def test_it_works_beside_a_running_gateway_and_takes_nothing_from_it(box: Box) -> None:
    running = gateway("run", box.path)
    try:
        deadline_s = time.monotonic() + 30
        while not place.is_running(box.data):
            assert time.monotonic() < deadline_s
        found = {each["check"]: each for each in json.loads(doctor(box.path, "--json").stdout)}
        assert running.poll() is None
    finally:
        running.terminate()
        assert running.communicate(timeout=20)
    assert running.returncode == 0
    assert {found[each]["verdict"] for each in ("gateway", "store", "disk", "adapter")} == {"ok"}


def test_a_package_of_devices_that_is_broken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(home.packages()).verdict is Verdict.OK
    monkeypatch.setattr(home, "load", lambda: {"acme": "acme.devices: ImportError('x')"})
    finding = only(home.packages())
    assert (finding.verdict, finding.cure) == (Verdict.FAIL, "update or remove acme")
