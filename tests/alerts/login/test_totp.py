"""One-time codes: RFC 6238's own vectors, the clock's edges, and secrets that are sealed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from alerts import totp
from alerts.totp import Seal, Unreadable
from tests.alerts.conftest import Pool
from tests.alerts.world import World

# RFC 6238, appendix B: the secret "12345678901234567890", the last six of its eight digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize("seconds", VECTORS)
def test_codes_are_those_of_the_standard(seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp.step_of(SECRET, VECTORS[seconds], now) == seconds // 30


@pytest.mark.parametrize(("off", "counts"), [(-60, 0), (-30, 1), (0, 1), (30, 1), (60, 0)])
def test_a_phone_may_be_half_a_minute_off(off: int, counts: int) -> None:
    now = datetime.fromtimestamp(1111111111, UTC) + timedelta(seconds=off)
    assert (totp.step_of(SECRET, "050471", now) is not None) is bool(counts)


@pytest.mark.parametrize("typed", ["050 471", " 050471 ", "0504 71\n"])
def test_a_code_may_be_typed_in_groups(typed: str) -> None:
    assert totp.step_of(SECRET, typed, datetime.fromtimestamp(1111111111, UTC)) is not None


@pytest.mark.parametrize(
    "typed", ["", "05047", "0504711", "050472", "٠٥٠٤٧١", "०५०४७१", "-50471", "05047x", "0" * 10000]
)
def test_what_is_no_code_does_not_count(typed: str) -> None:
    assert totp.step_of(SECRET, typed, datetime.fromtimestamp(1111111111, UTC)) is None


async def test_no_code_counts_twice_and_none_before_it(world: World, pool: Pool) -> None:
    account_id = world.one("select account_id from account where username = 'anna'")
    step = int(world.one("select extract(epoch from now())::bigint / 30"))
    code = {off: pyotp.TOTP(SECRET).at((step + off) * 30) for off in (-1, 0, 1)}
    async with pool.connection() as connection:
        assert await totp.use(connection, account_id, SECRET, code[0])
        assert not await totp.use(connection, account_id, SECRET, code[0])
        assert not await totp.use(connection, account_id, SECRET, code[-1])
        assert await totp.use(connection, account_id, SECRET, code[1])
        assert not await totp.use(connection, account_id, SECRET, code[0])


def test_a_sealed_secret_opens_with_its_key_for_its_account_only() -> None:
    seal, another = Seal("a" * 32), Seal("b" * 32)
    sealed = seal.seal(SECRET, 7)
    assert sealed != seal.seal(SECRET, 7)
    assert SECRET not in sealed
    assert seal.open(sealed, 7) == SECRET
    version, text = sealed.split(":")
    for who, what, account_id in (
        (another, sealed, 7),
        (seal, sealed, 8),
        (seal, f"2:{text}", 7),
        (seal, text, 7),
        (seal, "", 7),
        (seal, f"{version}:", 7),
        (seal, f"{version}:AAAA", 7),
        (seal, f"{version}:å", 7),
        (seal, sealed[:-8] + "AAAAAAA=", 7),
    ):
        with pytest.raises(Unreadable):
            who.open(what, account_id)


def test_the_key_comes_from_a_file_and_shows_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k" * 44 + "\nmore\n")
    seal = Seal.of(path)
    assert seal is not None
    assert Seal("k" * 44).open(seal.seal(SECRET, 1), 1) == SECRET
    assert "k" * 44 not in repr(seal) + repr(vars(seal))
    assert Seal.of(None) is None


def test_the_picture_and_the_text_carry_the_same_secret() -> None:
    secret = totp.new_secret()
    assert secret != totp.new_secret()
    assert totp.in_groups(secret).replace(" ", "") == secret
    address = urlsplit(totp.address(secret, "anna"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["Egenmonitorering"]}
    picture = totp.picture(secret, "anna")
    assert picture.startswith("<svg ")
    for refused in ("style", "script", "xlink", "http", secret):
        assert refused not in picture
