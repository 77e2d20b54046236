"""What makes the broker true to who is revoked: its files and its script. Without alerts."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from alerts.enrolment import authority as pki
from alerts.enrolment import files
from alerts.enrolment.authority import Authority, Revoked
from simulator.embedded.broker import Mosquitto
from simulator.embedded.child import is_listening
from tests.conftest import missing
from tests.system.site import ROOT, WAIT_S, Client, GuardedBroker, Keys

RECEIPTS = "egenmonitor/v1/{}/receipts"
READINGS = "egenmonitor/v1/{}/readings"
NINETY_DAYS = timedelta(days=90)


@dataclass
class Gate:
    """The guarded broker and the authority, by hand."""

    directory: Path
    root: Authority
    broker: GuardedBroker

    def __post_init__(self) -> None:
        self.opened: list[Client] = []

    @property
    def tls(self) -> Path:
        return self.directory / "tls"

    def keys(self, name: str) -> tuple[Keys, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self.root.for_gateway(key.public_key(), name, datetime.now(UTC), NINETY_DAYS)
        cert_file, key_file = (self.directory / f"{name}.{kind}" for kind in ("crt", "key"))
        cert_file.write_text(pki.certificate_pem(signed))
        key_file.write_bytes(pki.key_pem(key))
        return Keys(self.tls / files.CA, cert_file, key_file), signed

    def connected(self, keys: Keys, name: str) -> Client:
        client = Client(keys, self.broker.port, name)
        self.opened.append(client)
        assert client.connect() == "Success", self.broker.log_file.read_text()
        return client

    def service(self) -> Client:
        place = self.directory / "ingest"
        keys = Keys(place / files.CA, place / files.CERTIFICATE, place / files.KEY)
        client = Client(keys, self.broker.service_port, "service")
        self.opened.append(client)
        assert client.connect() == "Success", self.broker.log_file.read_text()
        return client

    def publish(self, *revoked: x509.Certificate) -> None:
        now = datetime.now(UTC)
        barred = [Revoked(each.serial_number, now) for each in revoked]
        assert files.publish(self.root, self.tls, barred, now)

    def is_let_in(self, keys: Keys, name: str) -> bool:
        client = Client(keys, self.broker.port, name)
        self.opened.append(client)
        answer = client.connect()
        client.close()
        return answer == "Success"


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    pytest.fail("not in time")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    now = datetime.now(UTC)
    root = pki.create(tmp_path / "authority", now)
    files.prepare_broker(root, tmp_path / "tls", ["127.0.0.1"], now)
    files.prepare_service(root, tmp_path / "ingest", "ingest", now)
    files.publish(root, tmp_path / "tls", [], now)
    with GuardedBroker(tmp_path / "broker", tmp_path / "tls") as broker:
        gate = Gate(tmp_path, root, broker)
        yield gate
        for client in gate.opened:
            client.close()


def test_a_revoked_gateway_that_is_connected_is_sent_away_and_kept_out(gate: Gate) -> None:
    (keys, certificate), (other_keys, _) = gate.keys("g-1"), gate.keys("g-2")
    there, other = gate.connected(keys, "g-1"), gate.connected(other_keys, "g-2")
    gate.publish(certificate)
    assert there.ended.wait(WAIT_S)
    assert other.ended.wait(WAIT_S)
    until(lambda: gate.is_let_in(other_keys, "g-2"))
    assert not gate.is_let_in(keys, "g-1")


def test_what_waits_for_a_gateway_outlasts_the_broker_s_new_start(gate: Gate) -> None:
    keys, other = gate.keys("g-1")[0], gate.keys("g-2")[1]
    away = gate.connected(keys, "g-1")
    away.subscribe(RECEIPTS.format("g-1"))
    away.close()
    service = gate.service()
    service.publish(RECEIPTS.format("g-1"), b"waits")
    service.publish("egenmonitor/v1/g-1/config", b"retained", retain=True)
    gate.publish(other)
    assert service.ended.wait(WAIT_S)
    until(lambda: gate.is_let_in(gate.keys("g-3")[0], "g-3"))
    back = gate.connected(keys, "g-1")
    assert back.next() == (RECEIPTS.format("g-1"), b"waits")
    back.subscribe("egenmonitor/v1/g-1/config")
    assert back.next() == ("egenmonitor/v1/g-1/config", b"retained")


def test_a_signal_to_read_again_would_leave_a_revoked_gateway_connected(gate: Gate) -> None:
    """Why the broker is started anew: this is what Mosquitto does at SIGHUP."""
    (keys, certificate), (probe_keys, probe) = gate.keys("g-1"), gate.keys("g-probe")
    gate.broker.stop()
    configuration = gate.broker.directory / "config/mosquitto.conf"
    program = Mosquitto.program()
    assert program is not None
    alone = subprocess.Popen(  # without the script
        [program, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: is_listening(gate.broker.service_port))
        there, service = gate.connected(keys, "g-1"), gate.service()
        service.subscribe(READINGS.format("g-1"))
        gate.publish(certificate, probe)
        alone.send_signal(signal.SIGHUP)
        until(lambda: not gate.is_let_in(probe_keys, "g-probe"))
        there.publish(READINGS.format("g-1"), b"still there")
        assert service.next() == (READINGS.format("g-1"), b"still there")
    finally:
        alone.kill()
        alone.wait()


def test_changes_that_come_close_together_are_one_new_start(gate: Gate) -> None:
    keys = [gate.keys(f"g-{number}") for number in range(5)]
    there = gate.connected(keys[0][0], "g-0")
    for count in range(1, 6):
        gate.publish(*(certificate for _, certificate in keys[:count]))
    assert there.ended.wait(WAIT_S)
    until(lambda: gate.is_let_in(gate.keys("g-9")[0], "g-9"))
    assert not any(gate.is_let_in(each, f"g-{n}") for n, (each, _) in enumerate(keys))
    assert gate.broker.log_file.read_text().count("started anew") in {1, 2}


def served_serial(gate: Gate) -> int:
    """Return the serial of the broker's certificate; nought while nobody answers."""
    context = gate.keys("g-probe")[0].context()
    try:
        with (
            socket.create_connection(("127.0.0.1", gate.broker.port), WAIT_S) as link,
            context.wrap_socket(link, server_hostname="127.0.0.1") as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
    except OSError:
        return 0
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def test_the_broker_s_own_certificate_is_renewed(gate: Gate) -> None:
    before = served_serial(gate)
    assert not files.prepare_broker(gate.root, gate.tls, ["127.0.0.1"], datetime.now(UTC))
    assert files.prepare_broker(gate.root, gate.tls, ["127.0.0.1", "mosquitto"], datetime.now(UTC))
    until(lambda: served_serial(gate) not in {0, before})
    assert gate.is_let_in(gate.keys("g-1")[0], "g-1")


def test_certificates_of_services_are_renewed_when_a_third_of_their_life_is_left(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    root, place = pki.create(tmp_path / "authority", now), tmp_path / "ingest"
    assert files.prepare_service(root, place, "ingest", now)
    assert not files.prepare_service(root, place, "ingest", now + pki.SERVICE_LASTS * 0.66)
    assert files.prepare_service(root, place, "ingest", now + pki.SERVICE_LASTS * 0.67)
    other = pki.create(tmp_path / "other", now)
    assert files.prepare_service(other, place, "ingest", now + pki.SERVICE_LASTS * 0.67)


def test_a_list_is_written_when_it_says_something_new_or_is_old(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    root = pki.create(tmp_path / "authority", now)
    one, two = Revoked(1, now), Revoked(2, now)

    def publish(revoked: list[Revoked], at: datetime) -> bool:
        return files.publish(root, tmp_path, revoked, at)

    def listed() -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl((tmp_path / files.CRL).read_bytes())

    assert publish([], now)
    assert not publish([], now)
    first = listed()
    assert publish([one], now)
    assert [each.serial_number for each in listed()] == [1]
    assert listed().last_update_utc > first.last_update_utc  # or OpenSSL may keep the old one
    assert publish([one, two], now)
    assert not publish([two, one], now)
    later = now + files.CRL_AGE_MAX
    assert not publish([one, two], later - timedelta(hours=1))
    assert publish([one, two], later + timedelta(hours=1))
    assert listed().last_update_utc <= later  # for a broker whose clock is slow
    assert listed().next_update_utc is not None
    assert listed().next_update_utc - later > timedelta(days=29)  # type: ignore[operator]
    assert publish([], later)
    assert list(listed()) == []


def test_a_list_that_is_damaged_or_another_s_is_written_anew(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root, other = pki.create(tmp_path / "ours", now), pki.create(tmp_path / "other", now)
    (tmp_path / files.CRL).write_text("junk")
    assert files.publish(root, tmp_path, [], now)
    assert files.publish(other, tmp_path, [], now)
    assert files.publish(root, tmp_path, [], now)
    assert not files.publish(root, tmp_path, [], now)


def test_what_a_clock_that_was_wrong_has_dated_is_written_anew(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root, place = pki.create(tmp_path / "authority", now), tmp_path / "ingest"
    for at in (now + timedelta(days=365), now):
        assert files.publish(root, tmp_path, [], at)
        assert files.prepare_service(root, place, "ingest", at)
    listed = x509.load_pem_x509_crl((tmp_path / files.CRL).read_bytes())
    certificate = x509.load_pem_x509_certificate((place / files.CERTIFICATE).read_bytes())
    assert max(listed.last_update_utc, certificate.not_valid_before_utc) <= now


def test_a_key_and_a_certificate_that_do_not_belong_together_are_made_anew(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root, place, other = pki.create(tmp_path / "authority", now), tmp_path / "1", tmp_path / "2"
    for each in (place, other):
        assert files.prepare_service(root, each, "ingest", now)
    shutil.copy(other / files.KEY, place)
    assert files.prepare_service(root, place, "ingest", now)
    assert not files.prepare_service(root, place, "ingest", now)


def test_keys_are_for_their_own_account_and_group(gate: Gate) -> None:
    for place in (gate.tls, gate.directory / "ingest"):
        assert (place / files.KEY).stat().st_mode & 0o777 == 0o640
        assert (place / files.CERTIFICATE).stat().st_mode & 0o777 == 0o644


# The script.


def test_the_script_waits_for_certificates_and_stops_with_the_broker(
    gate: Gate, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    late.mkdir()
    waiting = GuardedBroker(tmp_path / "second", late)
    (tmp_path / "second").mkdir()
    configuration = tmp_path / "second" / "broker.toml"
    configuration.write_text(waiting.configuration())
    process = subprocess.Popen(
        [*waiting.command(configuration)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        assert b"python -m alerts ca init" in process.stdout.readline()
        for file in gate.tls.iterdir():
            shutil.copy(file, late)
        until(lambda: is_listening(waiting.port))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert not is_listening(waiting.port)
    finally:
        process.kill()


_NOTES_ITS_STARTS = """#!/bin/sh
date +%s.%N >> "$STARTS"
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""


def test_two_starts_are_so_many_looks_apart(tmp_path: Path) -> None:
    """Each interrupts every gateway; a list may change every few seconds."""
    program, starts = tmp_path / "mosquitto", tmp_path / "starts"
    program.write_text(_NOTES_ITS_STARTS)
    program.chmod(0o755)
    starts.touch()
    for name in (files.CA, files.CRL, files.CERTIFICATE, files.KEY, "acl"):
        (tmp_path / name).touch()
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STARTS": str(starts),
        "MOSQUITTO_CONFIG": str(tmp_path),
        "MOSQUITTO_TLS": str(tmp_path),
        "MOSQUITTO_LOOK_S": "0.05",
        "MOSQUITTO_LEAST_LOOKS": "20",
    }

    def started() -> list[float]:
        return [float(line) for line in starts.read_text().split()]

    script = subprocess.Popen(["sh", str(ROOT / "deploy/mosquitto/run.sh")], env=environment)
    try:
        for count in (1, 2):
            until(lambda count=count: len(started()) == count)  # type: ignore[misc]
            (tmp_path / files.CRL).write_text(f"list {count}")
        until(lambda: len(started()) == 3)
    finally:
        script.send_signal(signal.SIGTERM)
        script.wait(WAIT_S)
    first, second, third = started()
    assert min(second - first, third - second) >= 20 * 0.05


_DOES_NOT_END = """#!/bin/sh
trap 'echo told > "$STARTS.told"' TERM
echo $$ > "$STARTS.new"
mv "$STARTS.new" "$STARTS"
while :; do sleep 0.05; done
"""


def test_a_broker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    program, started = tmp_path / "mosquitto", tmp_path / "started"
    program.write_text(_DOES_NOT_END)
    program.chmod(0o755)
    for name in (files.CA, files.CRL, files.CERTIFICATE, files.KEY, "acl"):
        (tmp_path / name).touch()
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STARTS": str(started),
        "MOSQUITTO_CONFIG": str(tmp_path),
        "MOSQUITTO_TLS": str(tmp_path),
        "MOSQUITTO_LOOK_S": "0.05",
        "MOSQUITTO_END_S": "1",
    }
    script = subprocess.Popen(["sh", str(ROOT / "deploy/mosquitto/run.sh")], env=environment)
    try:
        until(started.exists)
        script.send_signal(signal.SIGTERM)
        until((tmp_path / "started.told").exists)
        script.send_signal(signal.SIGTERM)  # an impatient second one changes nothing
        assert script.wait(WAIT_S) == 128 + signal.SIGKILL
        assert not Path(f"/proc/{started.read_text().strip()}").exists()
    finally:
        script.kill()


def test_the_script_ends_when_the_broker_does(gate: Gate) -> None:
    script = gate.broker.pid
    assert script is not None
    children = Path(f"/proc/{script}/task/{script}/children").read_text().split()
    names = {int(each): Path(f"/proc/{each}/comm").read_text().strip() for each in children}
    os.kill(next(pid for pid, name in names.items() if name == "mosquitto"), signal.SIGKILL)
    until(lambda: gate.broker.pid is None)


def test_what_is_written_here_is_what_the_script_reads() -> None:
    script = (ROOT / "deploy/mosquitto/run.sh").read_text()
    for name in (files.CA, files.CRL, files.CERTIFICATE, files.KEY):
        assert f"$tls/{name}" in script
