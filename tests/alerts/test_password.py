"""A password is kept so that who steals the database has work to do."""

from alerts import password
from tests.alerts.world import PASSWORD


def test_a_hash_takes_the_work_that_rfc_9106_asks_for() -> None:
    # It was made when the module was imported, before the tests asked for less work.
    assert password.NOBODYS_HASH.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_is_itself_and_no_other() -> None:
    kept = password.hash_password(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert password.is_password(PASSWORD, kept)
    assert not password.is_password(PASSWORD + " ", kept)
    assert password.hash_password(PASSWORD) != kept
