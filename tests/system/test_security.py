"""S1 and S2: who is let in, who hears what; on a real Mosquitto, proven by what is delivered."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from simulator.embedded.broker import Mosquitto
from simulator.embedded.postgres import Postgres
from tests.conftest import missing
from tests.gateway.certificates import Authority
from tests.system.site import WAIT_S, Client, Keys, Site, running_site

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOPIC = "egenmonitor/v1/{}/{}"


@pytest.fixture(scope="module")
def site(plain_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    name = f"site_{uuid4().hex}"
    with psycopg.connect(plain_postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    with running_site(tmp_path_factory.mktemp("site"), plain_postgres.dsn(name)) as running:
        yield running


@pytest.fixture
def name() -> str:
    """A gateway id of this test's own."""
    return f"g-{uuid4().hex[:8]}"


def readings(gateway_id: str) -> str:
    return TOPIC.format(gateway_id, "readings")


def receipts(gateway_id: str) -> str:
    return TOPIC.format(gateway_id, "receipts")


# S1: a certificate or no connection.


def test_an_enrolled_gateway_is_let_in(site: Site, name: str) -> None:
    assert site.client(site.enrol(name), name).connect() == "Success"


def test_no_certificate_no_connection(site: Site) -> None:
    keys = Keys(site.directory / "authority/ca.pem")
    assert site.client(keys, "nobody").connect() != "Success"


def test_nothing_is_said_to_who_does_not_speak_tls(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.broker.port), WAIT_S) as plain:
        plain.sendall(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x")
        plain.settimeout(WAIT_S)
        try:
            answer = plain.recv(64)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] != b"\x20"  # no CONNACK; a TLS alert at most


def test_a_certificate_of_another_authority_is_worth_nothing(
    site: Site, name: str, tmp_path: Path
) -> None:
    site.enrol(name)
    stranger = Authority(tmp_path, "stranger")
    keys = Keys(site.directory / "authority/ca.pem", *stranger.issue(name))
    assert site.client(keys, name).connect() != "Success"


def test_an_expired_certificate_is_worth_nothing(site: Site, name: str) -> None:
    good = site.issue(f"{name}-good", since=-2 * DAY, lasts=3 * DAY)
    assert site.client(good, name).connect() == "Success"
    over = site.issue(name, since=-2 * DAY, lasts=DAY)
    assert site.client(over, name).connect() != "Success"


def test_a_certificate_from_tomorrow_is_worth_nothing_today(site: Site, name: str) -> None:
    early = site.issue(name, since=DAY, lasts=DAY)
    assert site.client(early, name).connect() != "Success"


def test_the_broker_s_own_certificate_lets_nobody_in(site: Site) -> None:
    tls = site.directory / "broker_tls"
    keys = Keys(tls / "ca.pem", tls / "cert.pem", tls / "key.pem")
    assert site.client(keys, "broker").connect() != "Success"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("listener", ["gateways", "services"])
def test_tls_before_1_2_is_refused(site: Site, name: str, listener: str) -> None:
    keys = site.enrol(name)
    port = site.broker.port if listener == "gateways" else site.broker.service_port

    def shake_hands(newest: ssl.TLSVersion) -> str | None:
        context = keys.context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or our own side would refuse 1.1
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
        with (
            socket.create_connection(("127.0.0.1", port), WAIT_S) as link,
            context.wrap_socket(link, server_hostname="127.0.0.1") as secure,
        ):
            return secure.version()

    assert shake_hands(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
        shake_hands(ssl.TLSVersion.TLSv1_1)


def test_a_gateway_s_certificate_cannot_play_the_broker(site: Site, name: str) -> None:
    """It has no name of a host either; but that is not what keeps it from it."""
    thief, victim = site.enrol(name), site.enrol(f"{name}-victim")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert thief.cert_file is not None
    server.load_cert_chain(thief.cert_file, thief.key_file)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def play() -> None:
            link, _ = listening.accept()
            with link:
                try:
                    server.wrap_socket(link, server_side=True).close()
                except OSError:
                    return

        playing = threading.Thread(target=play)
        playing.start()
        context = victim.context()  # as gateway/broker.py makes it, but for the name
        context.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", port), WAIT_S) as link,
            pytest.raises(ssl.SSLCertVerificationError, match="purpose"),
        ):
            context.wrap_socket(link)
        playing.join(WAIT_S)


# S1: revocation.


def test_a_revoked_gateway_is_thrown_out_and_kept_out_and_the_others_lose_nothing(
    site: Site, name: str
) -> None:
    """By design within some 80 s; here the broker's script looks ten times a second."""
    other = f"{name}-other"
    revoked, kept = (site.connected(site.enrol(each), each) for each in (name, other))
    kept.subscribe(receipts(other))
    ear = site.service(f"ear-{name}")
    ear.subscribe(readings(name), readings(other))
    revoked.publish(readings(name), b"before")
    assert ear.next() == (readings(name), b"before")
    site.revoke(name)
    assert revoked.ended.wait(WAIT_S), site.logs()
    assert site.client(_keys_of(site, name), name).connect() != "Success"
    # The broker was started anew: who is still welcome comes back, and what waits is there.
    mouth = site.service(f"ear-{name}")
    mouth.publish(receipts(other), b"waited")
    back = site.connected(_keys_of(site, other), other)
    assert back.next() == (receipts(other), b"waited")
    back.publish(readings(other), b"after")
    assert mouth.next() == (readings(other), b"after")


def _keys_of(site: Site, gateway_id: str) -> Keys:
    place = site.directory / "boxes" / gateway_id / "identity"
    return Keys(place / "ca.pem", place / "cert.pem", place / "key.pem")


def test_a_revoked_gateway_cannot_resume_an_earlier_tls_session(site: Site, name: str) -> None:
    keys, sessions = site.enrol(name), []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = keys.context()
        context.maximum_version = version
        saved = _mqtt_answer(site, context, None)
        assert saved is not None
        assert _mqtt_answer(site, context, saved) is not None
        sessions.append((context, saved))
    site.revoke(name)
    for context, saved in sessions:
        assert _mqtt_answer(site, context, saved) is None


def _mqtt_answer(
    site: Site, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> ssl.SSLSession | None:
    """Return the TLS session of a connection whose MQTT CONNECT was answered, or nothing."""
    try:
        with (
            socket.create_connection(("127.0.0.1", site.broker.port), WAIT_S) as link,
            context.wrap_socket(link, server_hostname="127.0.0.1", session=session) as secure,
        ):
            secure.sendall(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x")
            answer = secure.recv(64)
            return secure.session if answer[:1] == b"\x20" else None
    except OSError:
        return None


# S2: a gateway speaks for itself, and hears what is for it.


@pytest.fixture
def two(site: Site, name: str) -> tuple[Client, str, str]:
    """A connected gateway that means ill, its id, and the id of its victim."""
    victim = f"{name}-victim"
    site.enrol(victim)
    return site.connected(site.enrol(name), name), name, victim


def _anew(site: Site, client: Client, name: str) -> Client:
    """Return another connection: Mosquitto 2.0.11 ends the one on which it denied a publish."""
    client.close()
    return site.connected(_keys_of(site, name), name)


@pytest.mark.parametrize("kind", ["readings", "status", "receipts", "config"])
def test_nothing_is_delivered_that_was_said_in_another_s_name(
    site: Site, two: tuple[Client, str, str], kind: str
) -> None:
    gateway, name, victim = two
    ear = site.connected(_keys_of(site, victim), victim)
    ear.subscribe(TOPIC.format(victim, "receipts"), TOPIC.format(victim, "config"))
    service = site.service(f"ear-{name}")
    service.subscribe("egenmonitor/v1/+/readings", "egenmonitor/v1/+/status")
    gateway.publish(TOPIC.format(victim, kind), b"false", retain=True)
    gateway = _anew(site, gateway, name)
    gateway.publish(readings(name), b"own")
    service_heard = service.next()
    while service_heard[0] not in {readings(name), TOPIC.format(victim, kind)}:
        service_heard = service.next()  # other tests' gateways speak too
    assert service_heard == (readings(name), b"own")
    site.service(f"mouth-{name}").publish(TOPIC.format(victim, "receipts"), b"true")
    assert ear.next() == (TOPIC.format(victim, "receipts"), b"true")
    # Retained neither: who comes later hears nothing of it.
    later = site.service(f"later-{name}")
    later.subscribe(TOPIC.format(victim, "readings"), TOPIC.format(victim, "status"))
    gateway.publish(readings(name), b"end")
    later.subscribe(readings(name))
    gateway.publish(readings(name), b"end")
    assert later.next() == (readings(name), b"end")


@pytest.mark.parametrize("kind", ["receipts", "config"])
def test_a_gateway_cannot_give_itself_receipts_or_a_configuration(
    site: Site, two: tuple[Client, str, str], kind: str
) -> None:
    gateway, name, _ = two
    gateway.subscribe(TOPIC.format(name, kind))
    gateway.publish(TOPIC.format(name, kind), b"false")
    gateway = _anew(site, gateway, name)
    gateway.subscribe(TOPIC.format(name, kind))
    site.service(f"mouth-{name}").publish(TOPIC.format(name, kind), b"true")
    assert gateway.next() == (TOPIC.format(name, kind), b"true")


@pytest.mark.parametrize(
    "wanted",
    [
        "egenmonitor/v1/{victim}/receipts",
        "egenmonitor/v1/{victim}/config",
        "egenmonitor/v1/{victim}/readings",
        "egenmonitor/v1/{victim}/status",
        "egenmonitor/v1/{name}/readings",
        "egenmonitor/v1/+/receipts",
        "egenmonitor/v1/+/config",
        "egenmonitor/v1/{victim}/+",
        "egenmonitor/v1/#",
        "+/+/+/+",
        "#",
        "$share/thieves/egenmonitor/v1/+/receipts",
        "$share/ingest/egenmonitor/v1/+/readings",
        "$SYS/#",
        "$SYS/broker/version",
        "$CONTROL/#",
    ],
)
def test_a_gateway_hears_nothing_that_is_not_for_it(
    site: Site, two: tuple[Client, str, str], wanted: str
) -> None:
    gateway, name, victim = two
    service = site.service(f"mouth-{name}")
    service.publish(TOPIC.format(victim, "config"), b"retained secret", retain=True)
    gateway.subscribe(wanted.format(name=name, victim=victim))
    speaker = site.connected(_keys_of(site, victim), victim)
    speaker.publish(readings(victim), b"secret")
    speaker.publish(TOPIC.format(victim, "status"), b"secret")
    service.publish(TOPIC.format(victim, "receipts"), b"secret")
    service.publish(TOPIC.format(victim, "config"), b"secret", retain=True)
    # What is its own comes after all that: had the rest been delivered, it would be heard first.
    # A filter with a wildcard brings what is its own, too.
    gateway.subscribe(receipts(name))
    service.publish(receipts(name), b"own")
    assert gateway.next() == (receipts(name), b"own")
    while not gateway.heard.empty():
        assert gateway.next() == (receipts(name), b"own")


def test_a_gateway_cannot_take_another_s_connection_or_session(site: Site, name: str) -> None:
    victim = f"{name}-victim"
    keys, thief_keys = site.enrol(victim), site.enrol(name)
    gateway = site.connected(keys, victim)
    gateway.subscribe(receipts(victim))
    thief = site.connected(thief_keys, victim)  # under the other's client id
    site.service(f"mouth-{name}").publish(receipts(victim), b"for the victim")
    assert gateway.next() == (receipts(victim), b"for the victim")
    assert not gateway.ended.is_set()
    # Nor what waits while the other is away.
    gateway.drop()
    thief.close()
    thief = site.connected(thief_keys, victim)
    site.service(f"mouth-{name}").publish(receipts(victim), b"while away")
    site.service(f"mouth-{name}").publish(receipts(name), b"own")
    thief.subscribe(receipts(name))
    site.service(f"mouth-{name}").publish(receipts(name), b"own")
    assert thief.next() == (receipts(name), b"own")
    back = site.connected(keys, victim)
    heard = back.next()
    if heard == (receipts(victim), b"for the victim"):  # again: its PUBACK went with the link
        heard = back.next()
    assert heard == (receipts(victim), b"while away")


def test_a_last_will_in_another_s_name_is_not_said(site: Site, name: str) -> None:
    victim = f"{name}-victim"
    for each in (name, victim):
        site.enrol(each)
    ear = site.service(f"ear-{name}")
    ear.subscribe(TOPIC.format(victim, "status"), TOPIC.format(name, "status"))
    false = site.client(_keys_of(site, name), name, will=TOPIC.format(victim, "status"))
    false.connect()
    if not false.ended.is_set():
        false.drop()
    true = site.connected(_keys_of(site, name), name, will=TOPIC.format(name, "status"))
    true.drop()
    assert ear.next() == (TOPIC.format(name, "status"), b"will")
    assert ear.heard.empty()


def test_no_gateway_can_be_called_like_a_service(site: Site) -> None:
    rules = (Path(__file__).parents[2] / "deploy/mosquitto/acl").read_text()
    users = [line.split()[1] for line in rules.splitlines() if line.startswith("user ")]
    assert users == ["service.ingest"]
    assert all("." in user for user in users)  # which no id has: devices.wire.is_gateway_id
    copied = site.directory / "broker" / "config" / "acl"
    assert copied.read_text() == rules
