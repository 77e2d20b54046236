"""The next certificate comes in good time, or a person is told in good time."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from devices.enrolment import parse_code
from devices.wire import ConditionCode
from gateway.certificate import Enrolled, enrolled
from gateway.enrol import enrol, renew
from gateway.health import Health
from gateway.renewal import RENEW_FROM, SPREAD, TELL_FROM, Renewal, renew_at
from tests.gateway.registry import Registry, registry

EXPIRES, EXPIRED = ConditionCode.CERTIFICATE_EXPIRES, ConditionCode.CERTIFICATE_EXPIRED


@dataclass
class Home:
    """An enrolled box, and the renewing part of it, with a clock that can be moved."""

    server: Registry
    data_dir: Path
    ahead: timedelta = timedelta(0)
    is_clock_sure: bool = True
    retry_s: float = 0.2
    renewed: int = 0
    looked: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.health = Health(on_change=self.changed.set)
        self.renewal = Renewal(
            self.data_dir,
            health=self.health,
            now=lambda: datetime.now(UTC) + self.ahead,
            is_clock_sure=self._sure,
            on_renewed=self._on_renewed,
            look_s=0.02,
            retry_s=self.retry_s,
        )

    def _on_renewed(self) -> None:
        self.renewed += 1
        self.changed.set()

    @property
    def identity(self) -> Enrolled:
        found = enrolled(self.data_dir)
        assert found is not None
        return found

    @property
    def conditions(self) -> set[str]:
        return {condition.code for condition in self.health.conditions}

    def at(self, fraction: float) -> None:
        """Move the box's clock to so much of the certificate's life."""
        self.ahead = self.identity.at_fraction(fraction) - datetime.now(UTC)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.renewal.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):  # a look that changes nothing tells nobody
                        await self.changed.wait()

    async def looks(self, count: int = 3) -> None:
        """Wait until it has looked so many times more."""
        until = self.looked + count
        async with asyncio.timeout(20):
            while self.looked < until:  # noqa: ASYNC110 - each look is counted by the clock it asks
                await asyncio.sleep(0.01)

    def _sure(self) -> bool:
        self.looked += 1
        return self.is_clock_sure


@pytest.fixture
async def server(plain_database: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry(plain_database, tmp_path) as running:
        yield running


@pytest.fixture
async def home(server: Registry, tmp_path: Path) -> Home:
    code, directory = parse_code(await server.code("g-home")), tmp_path / "data"
    await asyncio.to_thread(enrol, directory, code, server.address, datetime.now(UTC))
    return Home(server, directory)


async def test_a_young_certificate_is_left_alone(home: Home) -> None:
    before = home.identity
    home.at(RENEW_FROM - 0.01)
    async with home.running():
        await home.looks()
        assert home.renewal.certificate_until == before.valid_until
    assert (home.identity, home.renewed, home.conditions) == (before, 0, set())


async def test_it_is_renewed_from_two_thirds_on_and_the_old_one_stays_where_it_was(
    home: Home,
) -> None:
    old = home.identity
    home.at(RENEW_FROM + SPREAD)
    async with home.running():
        await home.until(lambda: home.renewed == 1)
        home.ahead = timedelta(0)
        await home.looks()
    new = home.identity
    assert new.serial != old.serial
    assert new.directory != old.directory
    assert old.key_file.read_bytes() != new.key_file.read_bytes()
    assert old.cert_file.exists()
    certificate = x509.load_pem_x509_certificate(new.cert_file.read_bytes())
    root = x509.load_pem_x509_certificate(new.ca_file.read_bytes())
    certificate.verify_directly_issued_by(root)
    assert (new.gateway_id, home.renewed, home.conditions) == ("g-home", 1, set())
    assert home.renewal.certificate_until == new.valid_until
    defaults = (home.data_dir / "identity" / "enrolled.toml").read_text()
    assert 'gateway_id = "g-home"' in defaults


def test_boxes_of_one_day_do_not_renew_in_one_minute() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    times = {
        renew_at(Enrolled("g", "http://x", f"{number * 997:x}", start, end, Path()))
        for number in range(1, 60)
    }
    assert max(times) - min(times) > timedelta(days=1)
    assert min(times) >= start + (end - start) * 2 / 3 - timedelta(seconds=1)
    assert max(times) < start + (end - start) * TELL_FROM


async def test_a_server_that_is_away_is_told_of_in_time_and_not_at_once(home: Home) -> None:
    good = home.identity
    text = (good.directory / "identity.json").read_text()
    (good.directory / "identity.json").write_text(text.replace(good.server, "http://127.0.0.1:9"))
    home.at(RENEW_FROM + SPREAD)
    async with home.running():
        await home.until(lambda: bool(home.renewal._problem))
        assert home.conditions == set()
        home.at(TELL_FROM)
        await home.until(lambda: EXPIRES in home.conditions)
        assert "no_network" in home.health.problems[0]
        assert str(good.valid_until) in home.health.problems[0]
        (good.directory / "identity.json").write_text(text)
        await home.until(lambda: home.identity.serial != good.serial)
        await home.until(lambda: EXPIRES not in home.conditions)


async def test_a_server_that_is_away_is_not_asked_at_every_look(home: Home) -> None:
    asked = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    patient = Home(home.server, home.data_dir, retry_s=3600.0)
    about = home.identity.directory / "identity.json"
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        about.write_text(about.read_text().replace(home.identity.server, address))
        patient.at(RENEW_FROM + SPREAD)
        async with patient.running():
            await patient.until(lambda: bool(patient.renewal._problem))
            await patient.looks()
    assert asked == 1


async def test_a_revoked_box_says_that_it_is(home: Home) -> None:
    await home.server.revoke("g-home")
    home.at(TELL_FROM)
    async with home.running():
        await home.until(lambda: EXPIRES in home.conditions)
    assert "revoked" in home.health.problems[0]


async def test_an_expired_certificate_is_told_and_not_asked_about(home: Home) -> None:
    home.at(1.001)
    async with home.running():
        await home.until(lambda: EXPIRED in home.conditions)
        await home.looks()
        assert home.renewal._try_at_s == float("-inf")
        home.ahead = timedelta(0)
        await home.until(lambda: EXPIRED not in home.conditions)


@pytest.mark.parametrize("fraction", [RENEW_FROM + SPREAD, 1.001, -300.0])
async def test_nothing_is_decided_by_a_clock_that_is_doubted(home: Home, fraction: float) -> None:
    before = home.identity
    home.at(fraction)
    home.is_clock_sure = False
    async with home.running():
        await home.looks()
    assert (home.identity, home.conditions) == (before, set())


async def test_another_identity_beside_a_running_box_is_taken(home: Home) -> None:
    async with home.running():
        await home.looks()
        await asyncio.to_thread(renew, home.data_dir)
        await home.until(lambda: home.renewed == 1)
    assert home.renewal.certificate_until == home.identity.valid_until


async def test_a_box_that_is_enrolled_while_it_runs_is_watched_from_then_on(
    server: Registry, tmp_path: Path
) -> None:
    home = Home(server, tmp_path / "data")
    async with home.running():
        assert home.renewal.certificate_until is None
        code = parse_code(await server.code("g-home"))
        await asyncio.to_thread(enrol, home.data_dir, code, server.address, datetime.now(UTC))
        await home.until(lambda: home.renewal.certificate_until is not None)


async def test_a_damaged_identity_is_told_until_it_is_cured(home: Home) -> None:
    about = home.identity.directory / "identity.json"
    text = about.read_text()
    about.write_text("{")
    async with home.running():
        await home.until(lambda: EXPIRED in home.conditions)
        assert "gateway enrol" in home.health.problems[0]
        about.write_text(text)
        await home.until(lambda: home.conditions == set())


async def test_a_renewal_whose_answer_is_lost_is_repeated_with_the_same_key(home: Home) -> None:
    old = home.identity
    text = (old.directory / "identity.json").read_text()
    (old.directory / "identity.json").write_text(text.replace(old.server, "http://127.0.0.1:9"))
    for _ in range(2):
        with pytest.raises(Exception, match="no_network"):
            await asyncio.to_thread(renew, home.data_dir)
    key = (home.data_dir / "identity-next" / "key.pem").read_bytes()
    (old.directory / "identity.json").write_text(text)
    new = await asyncio.to_thread(renew, home.data_dir)
    assert new.key_file.read_bytes() == key


def test_a_box_that_does_not_renew_just_now_holds_no_cryptography() -> None:
    program = (
        "import sys, gateway.renewal, gateway.certificate, gateway.commands.run;"
        " print([name for name in sys.modules if name.startswith('cryptography')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert said.strip() == b"[]"


@pytest.mark.parametrize("directory", ["nowhere", "damaged"])
def test_the_renewing_process_says_what_is_wrong(tmp_path: Path, directory: str) -> None:
    if directory == "damaged":
        (tmp_path / directory / "identity").mkdir(parents=True)
    ended = subprocess.run(
        [sys.executable, "-m", "gateway.renewal", str(tmp_path / directory)],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip() == b"not_enrolled" or b"not the link" in ended.stderr
