"""A box gets its identity: from a real server, from none, from a false one, in a power cut."""

import asyncio
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devices.enrolment import (
    Enrolment,
    SealedAnswer,
    answer_mac,
    code_keys,
    decode_enrol_request,
    encode,
    parse_code,
)
from gateway import certificate
from gateway.certificate import IdentityDamaged, enrolled, wipe
from gateway.commands.enrol import enrol as enrol_command
from gateway.config import load
from gateway.enrol import Done, EnrolFailed, Failure, enrol
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
    assert found.directory.stat().st_mode & 0o777 == 0o700
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


async def test_a_code_works_again_for_the_box_whose_answer_was_lost(
    server: Registry, data_dir: Path
) -> None:
    code = await server.code("g-home")
    host, port = server.address.removeprefix("http://").split(":")

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(host, int(port))
        there.write(await reader.readuntil(b"}"))
        await there_reader.read()
        writer.close()
        there.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as listener:
        address = listener.sockets[0].getsockname()
        lost = await failure(f"http://127.0.0.1:{address[1]}", code, data_dir)
    assert lost.failure in {Failure.NOT_A_SERVER, Failure.NO_NETWORK}
    assert (await enrol_at(server.address, code, data_dir)).enrolled.gateway_id == "g-home"
    other = await failure(server.address, code, data_dir.parent / "other")
    assert other.failure is Failure.USED


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


Answer = Callable[[bytes], tuple[int, bytes]]


@contextmanager
def false_server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve what *answer* makes of a request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        scheme = "http" if context is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


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


class Impostor:
    """Signs whatever is asked for, with an authority of its own."""

    def __init__(self, name: str = "g-home", *, for_other_key: bool = False) -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign("false root", "false root", self._root_key.public_key(), ca=True)
        self._name = name
        self._other = ec.generate_private_key(ec.SECP256R1()) if for_other_key else None

    def enrolment(self, request: bytes) -> Enrolment:
        csr = x509.load_pem_x509_csr(decode_enrol_request(request).csr.encode())
        key = csr.public_key() if self._other is None else self._other.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate = self._sign(self._name, "false root", key, ca=False)
        return Enrolment(
            v=1,
            gateway="g-home",
            certificate=_pem(certificate),
            authority=_pem(self._root),
            broker_host="127.0.0.1",
            broker_port=8883,
            at=datetime.now(UTC),
        )

    def _sign(
        self, name: str, issuer: str, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            _name(issuer),
            _name(name),
            key,
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + timedelta(days=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        return builder.sign(self._root_key, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(signed: x509.Certificate) -> str:
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def sealed(enrolment: Enrolment, answer_key: bytes) -> bytes:
    body = encode(enrolment).decode()
    return encode(SealedAnswer(v=1, body=body, mac=answer_mac(answer_key, body)))


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
        _name("127.0.0.1"),
        _name("127.0.0.1"),
        key.public_key(),
        x509.random_serial_number(),
        now + timedelta(days=days[0]),
        now + timedelta(days=days[1]),
    ).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
    )
    files = (tmp_path / "tls.pem", tmp_path / "tls.key")
    files[0].write_text(_pem(builder.sign(key, hashes.SHA256())))
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


# At the terminal.


@pytest.fixture
def config(tmp_path: Path, data_dir: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(f'data_dir = "{data_dir}"\n')
    return path


async def run(config: Path, code: str, server: str, *words: str) -> tuple[int, str, str]:
    """Run the command as people do, the code on its standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "enrol", "--server", server),
        *("--config", str(config), *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complained = await process.communicate(f"{code}\n".encode())
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_the_command_says_who_the_box_is_and_will_not_do_it_twice(
    server: Registry, config: Path, data_dir: Path
) -> None:
    code = await server.code("g-home")
    spoken = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    status, said, complained = await run(config, spoken, server.address)
    assert (status, complained) == (0, "")
    assert "g-home" in said
    found = enrolled(data_dir)
    assert found is not None
    assert f"{found.valid_until:%Y-%m-%d}" in said
    status, _, complained = await run(config, await server.code("g-new"), server.address)
    assert status == 2
    assert "redan inskriven, som g-home" in complained
    status, said, _ = await run(
        config, await server.code("g-new"), server.address, "--replace", "--language", "en"
    )
    assert (status, "This box is g-new" in said, "again" in said) == (0, True, True)


async def test_the_command_never_repeats_the_code(server: Registry, config: Path) -> None:
    for code in (CODE, "0123-4567-89AB-CDE", await server.code(lasts=timedelta(0))):
        status, said, complained = await run(config, code, server.address)
        assert status != 0
        assert complained
        for shown in (code, code.replace("-", "")):
            assert shown not in said + complained


def complaint(
    capsys: pytest.CaptureFixture[str], config: Path, code: str, server: str, language: str
) -> str:
    status = enrol_command(code, server=server, config=config, language=language)  # type: ignore[arg-type]
    assert status in {1, 2}
    return capsys.readouterr().err.strip()


def test_every_failure_has_words_of_its_own_in_both_languages(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    told = set[str]()
    reasons = ["unknown", "used", "expired", "revoked", "too_many", "not_here"]
    answers = [
        *((404, json.dumps({"v": 1, "reason": reason}).encode()) for reason in reasons),
        (503, b"ill"),
        (200, b"<html>"),
    ]
    for language in ("sv", "en"):
        for status, body in answers:
            with false_server(lambda _, answer=(status, body): answer) as address:  # type: ignore[misc]
                told.add(complaint(capsys, config, CODE, address, language))
        impostor = Impostor()
        with false_server(lambda body, it=impostor: (200, sealed(it.enrolment(body), b"x"))) as at:  # type: ignore[misc]
            told.add(complaint(capsys, config, CODE, at, language))
        for address in ("http://127.0.0.1:9", "http://no-such-host.invalid", "what"):
            told.add(complaint(capsys, config, CODE, address, language))
        told.add(complaint(capsys, config, "ABC", "http://127.0.0.1:9", language))
    assert len(told) == 2 * (len(answers) + 1 + 3 + 1)
    for words in told:
        assert "{" not in words
        assert CODE not in words


def test_a_store_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    config = tmp_path / "gateway.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    words = complaint(capsys, config, CODE, "http://127.0.0.1:9", "sv")
    assert "kunde inte sparas" in words


def test_a_port_that_accepts_and_says_nothing_is_given_up(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.enrol.ANSWER_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EnrolFailed) as caught:
            enrol(data_dir, parse_code(CODE), address, datetime.now(UTC))
    assert caught.value.failure is Failure.NO_NETWORK
