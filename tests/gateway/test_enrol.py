"""A box gets its identity: from a real server, from none, from a false one, in a power cut."""

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devices.enrolment import (
    code_keys,
    parse_code,
)
from gateway import certificate
from gateway.certificate import IdentityDamaged, enrolled, wipe
from gateway.config import load
from gateway.enrol import Done, EnrolFailed, Failure, enrol
from tests.gateway.false_server import Impostor, false_server, name_of, pem_of, sealed
from tests.gateway.registry import Registry, registry

CODE = "0123-4567-89AB-CDEF"


@pytest.fixture
async def server(plain_database: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry(plain_database, tmp_path) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def enrol_at(address: str, code: str, data_dir: Path, now: datetime | None = None) -> Done:
    at = now or datetime.now(UTC)
    return await asyncio.to_thread(enrol, data_dir, parse_code(code), address, at)


async def failure(address: str, code: str, data_dir: Path) -> EnrolFailed:
    with pytest.raises(EnrolFailed) as caught:
        await enrol_at(address, code, data_dir)
    assert enrolled(data_dir) is None
    return caught.value


async def test_an_enrolled_box_has_all_it_needs_and_shows_it_to_nobody(
    server: Registry, data_dir: Path, tmp_path: Path
) -> None:
    done = await enrol_at(server.address, await server.code("g-home"), data_dir)
    found = done.enrolled
    assert done.clock_off is None
    assert (found.gateway_id, found.server) == ("g-home", server.address)
    assert timedelta(days=89) < found.valid_until - datetime.now(UTC) <= timedelta(days=90)
    for path in found.directory.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    for directory in (found.directory, data_dir):  # the readings will lie there too
        assert directory.stat().st_mode & 0o777 == 0o700, directory
    context = ssl.create_default_context(cafile=found.ca_file)
    context.load_cert_chain(found.cert_file, found.key_file)
    config = tmp_path / "gateway.toml"
    config.write_text(f'data_dir = "{data_dir}"\n[radio]\nbackend = "bluez"\n')
    settings = load(config)
    assert settings.gateway_id == "g-home"
    assert (settings.uplink.host, settings.uplink.port) == ("127.0.0.1", 8883)
    assert settings.uplink.cert_file == data_dir / "identity/cert.pem"
    assert settings.uplink.uses_tls


async def test_what_travels_tells_neither_code_nor_key(server: Registry, data_dir: Path) -> None:
    code, heard = await server.code(), list[bytes]()
    host, port = server.address.removeprefix("http://").split(":")

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(host, int(port))
        heard.append(await reader.readuntil(b"}"))
        there.write(heard[0])
        heard.append(await there_reader.read())
        writer.write(heard[1])
        writer.close()
        there.close()

    async with await asyncio.start_server(between, "127.0.0.1", 0) as listener:
        address = listener.sockets[0].getsockname()
        done = await enrol_at(f"http://127.0.0.1:{address[1]}", code, data_dir)
    travelled = b"".join(heard)
    keys, key = code_keys(parse_code(code)), done.enrolled.key_file.read_bytes()
    for secret in (code.encode(), parse_code(code).encode(), keys.request, keys.answer, key[30:60]):
        assert secret not in travelled
    assert b"PRIVATE" not in travelled


def key_waits(data_dir: Path) -> bool:
    """Return whether more lies there than the link and where it leads."""
    return len(list(data_dir.glob("identity*"))) != 2


async def lose_the_answer(server: Registry, code: str, data_dir: Path) -> EnrolFailed:
    """Enrol, with somebody in between who lets the request through and swallows the answer."""
    host, port = server.address.removeprefix("http://").split(":")

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(host, int(port))
        there.write(await reader.readuntil(b"}"))
        await there_reader.read()
        writer.close()
        there.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as listener:
        address = listener.sockets[0].getsockname()
        return await failure(f"http://127.0.0.1:{address[1]}", code, data_dir)


async def test_a_code_works_again_for_the_box_whose_answer_was_lost(
    server: Registry, data_dir: Path
) -> None:
    code = await server.code("g-home")
    lost = await lose_the_answer(server, code, data_dir)
    assert lost.failure in {Failure.NOT_A_SERVER, Failure.NO_NETWORK}
    assert (await enrol_at(server.address, code, data_dir)).enrolled.gateway_id == "g-home"
    other = await failure(server.address, code, data_dir.parent / "other")
    assert other.failure is Failure.USED


@pytest.mark.parametrize("since", ["replaced", "over"])
async def test_a_new_code_works_for_the_box_whose_answer_was_lost(
    server: Registry, data_dir: Path, since: str
) -> None:
    """What it would have been given is worth nothing by then: it comes with another key."""
    await lose_the_answer(server, await server.code("g-home"), data_dir)
    key = (data_dir / "identity-next/key.pem").read_bytes()
    if since == "over":
        await server.run("update gateway_certificate set not_after = now()")
    found = (await enrol_at(server.address, await server.code("g-home"), data_dir)).enrolled
    assert found.gateway_id == "g-home"
    assert found.key_file.read_bytes() != key
    assert not key_waits(data_dir)


async def test_a_key_that_was_damaged_while_it_waited_is_made_anew(
    server: Registry, data_dir: Path
) -> None:
    await failure("http://127.0.0.1:9", CODE, data_dir)
    (data_dir / "identity-next/key.pem").write_text("damaged")
    await enrol_at(server.address, await server.code("g-home"), data_dir)
    assert not key_waits(data_dir)


async def test_why_there_is_no_certificate(server: Registry, data_dir: Path) -> None:
    over = await server.code(lasts=timedelta(0))
    assert (await failure(server.address, over, data_dir)).failure is Failure.EXPIRED
    assert (await failure(server.address, CODE, data_dir)).failure is Failure.UNKNOWN
    for _ in range(4):
        await failure(server.address, CODE, data_dir)
    assert (await failure(server.address, CODE, data_dir)).failure is Failure.TOO_MANY


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:9", Failure.NO_NETWORK),
        ("https://127.0.0.1:9", Failure.NO_NETWORK),
        ("http://no-such-host.invalid", Failure.NO_SUCH_HOST),
        ("egenmonitor.example", Failure.BAD_ADDRESS),
        ("ftp://egenmonitor.example", Failure.BAD_ADDRESS),
        ("http://", Failure.BAD_ADDRESS),
        ("http://x:port", Failure.BAD_ADDRESS),
        ("http://somebody:secret@x", Failure.BAD_ADDRESS),
    ],
)
async def test_an_address_where_no_server_is(
    address: str, expected: Failure, data_dir: Path
) -> None:
    assert (await failure(address, CODE, data_dir)).failure is expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>hej</html>", Failure.NOT_A_SERVER),
        (404, b"<html>finns inte</html>", Failure.NOT_A_SERVER),
        (302, b"", Failure.NOT_A_SERVER),
        (503, b"<html>databasen</html>", Failure.SERVER_ILL),
        (404, b'{"v":1,"reason":"not_here"}', Failure.NOT_HERE),
        (418, b'{"v":1,"reason":"of_the_future"}', Failure.NOT_A_SERVER),
        (200, b"x" * 100_000, Failure.NOT_A_SERVER),
    ],
)
async def test_what_answers_may_be_something_else(
    status: int, body: bytes, expected: Failure, data_dir: Path
) -> None:
    with false_server(lambda _: (status, body)) as address:
        assert (await failure(address, CODE, data_dir)).failure is expected


async def test_a_server_that_does_not_know_the_code_is_not_believed(data_dir: Path) -> None:
    impostor = Impostor()
    with false_server(lambda body: (200, sealed(impostor.enrolment(body), b"guess"))) as address:
        assert (await failure(address, CODE, data_dir)).failure is Failure.WRONG_SERVER


@pytest.mark.parametrize("harm", ["another name", "another key"])
async def test_a_certificate_that_is_not_ours_is_not_kept(data_dir: Path, harm: str) -> None:
    impostor = Impostor(
        "g-other" if harm == "another name" else "g-home", for_other_key=harm == "another key"
    )
    key = code_keys(parse_code(CODE)).answer
    with false_server(lambda body: (200, sealed(impostor.enrolment(body), key))) as address:
        refused = await failure(address, CODE, data_dir)
    assert refused.failure is Failure.WRONG_SERVER
    assert "another box" in refused.detail


async def test_a_box_that_does_not_know_the_time_is_enrolled_and_told(
    server: Registry, data_dir: Path
) -> None:
    at = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    done = await enrol_at(server.address, await server.code(), data_dir, at)
    assert done.clock_off is not None
    assert done.clock_off < timedelta(days=-50 * 365)


@pytest.mark.parametrize(
    ("days", "expected"),
    [((-2, -1), Failure.CLOCK_WRONG), ((1, 2), Failure.CLOCK_WRONG), ((-1, 1), Failure.UNTRUSTED)],
)
async def test_tls_certificates_of_another_time_are_told_from_false_ones(
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: tuple[int, int],
    expected: Failure,
) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name_of("127.0.0.1"),
        name_of("127.0.0.1"),
        key.public_key(),
        x509.random_serial_number(),
        now + timedelta(days=days[0]),
        now + timedelta(days=days[1]),
    ).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
    )
    files = (tmp_path / "tls.pem", tmp_path / "tls.key")
    files[0].write_text(pem_of(builder.sign(key, hashes.SHA256())))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if expected is Failure.CLOCK_WRONG:
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with false_server(lambda _: (200, b""), context) as address:
        assert (await failure(address, CODE, data_dir)).failure is expected


class PowerCut(Exception):
    """The power goes."""


async def test_a_power_cut_leaves_the_old_identity_or_the_new_one(
    server: Registry, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every point where something was just made durable; then the same command is run again."""
    first = await enrol_at(server.address, await server.code("g-old"), data_dir)
    fsync, countdown = os.fsync, 0
    seen = set[str]()
    for cut_at in range(1, 100):
        here = data_dir.parent / f"cut-{cut_at}"
        shutil.copytree(data_dir, here, symlinks=True)
        code, countdown = await server.code("g-new"), cut_at

        def cut(descriptor: int) -> None:
            nonlocal countdown
            fsync(descriptor)
            countdown -= 1
            if not countdown:
                raise PowerCut

        monkeypatch.setattr(os, "fsync", cut)
        try:
            await enrol_at(server.address, code, here)
        except PowerCut:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(os, "fsync", fsync)
        found = enrolled(here)
        assert found is not None
        seen.add(found.gateway_id)
        context = ssl.create_default_context(cafile=found.ca_file)
        context.load_cert_chain(found.cert_file, found.key_file)  # raises if they do not fit
        if found.gateway_id == "g-old":
            assert found.serial == first.enrolled.serial
            assert (await enrol_at(server.address, code, here)).enrolled.gateway_id == "g-new"
        else:  # the key in use waits for nothing: the next certificate is for another
            assert certificate.pending_key(here, lambda: b"another") == b"another"
    else:
        pytest.fail("it never came through")
    assert seen == {"g-old", "g-new"}
    assert cut_at > 5


async def test_only_the_last_two_identities_are_kept(server: Registry, data_dir: Path) -> None:
    for _ in range(4):
        await enrol_at(server.address, await server.code("g-home"), data_dir)
    links, directories = lying_in(data_dir)
    assert (links, len(directories)) == (["identity"], 2)


async def test_a_factory_reset_leaves_nothing_of_it(server: Registry, data_dir: Path) -> None:
    await enrol_at(server.address, await server.code(), data_dir)
    await failure_with_key_left(data_dir)
    wipe(data_dir)
    assert lying_in(data_dir) == ([], [])
    assert enrolled(data_dir) is None


def lying_in(data_dir: Path) -> tuple[list[str], list[str]]:
    """Return the names of links and of all else."""
    found = list(data_dir.iterdir())
    links = [path.name for path in found if path.is_symlink()]
    return links, [path.name for path in found if path.name not in links]


async def failure_with_key_left(data_dir: Path) -> None:
    with pytest.raises(EnrolFailed):
        await enrol_at("http://127.0.0.1:9", CODE, data_dir)
    assert "identity-next" in lying_in(data_dir)[0]


@pytest.mark.parametrize("harm", ["junk", "a directory", "no file"])
async def test_a_damaged_identity_is_told(server: Registry, data_dir: Path, harm: str) -> None:
    done = await enrol_at(server.address, await server.code(), data_dir)
    about = done.enrolled.directory / "identity.json"
    if harm == "junk":
        about.write_text("{")
    elif harm == "no file":
        about.unlink()
    else:
        (data_dir / "identity").unlink()
        (data_dir / "identity").mkdir()
    with pytest.raises(IdentityDamaged):
        enrolled(data_dir)
    assert certificate.LINK == "identity"
