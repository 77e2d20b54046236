"""Answers are kept a day under the client's key; who clears away the old ones delays nobody."""

from psycopg import AsyncConnection

from alerts.care.people import Viewer
from alerts.web.api.repeat import Kept, once
from alerts.web.session import Method, Session
from tests.alerts.world import World


async def _kept() -> Kept:
    return Kept(200, "", "{}")


async def test_two_who_clear_away_do_not_wait_for_each_other(world: World) -> None:
    account = world.one("select account_id from account where username = 'anna'")
    world.connection.execute(
        "insert into idempotency_key (account_id, key, request_hash, status, etag, body, made_at)"
        " select %s, number::text, '', 200, '', '{}', now() - interval '2 days'"
        " from generate_series(1, 3) number",
        [account],
    )
    anna = Session(
        token_hash=b"",
        account_id=account,
        csrf_token="",
        viewer=Viewer(name="Anna"),
        method=Method.PASSWORD,
        assurance="",
    )
    async with (
        await AsyncConnection.connect(world.dsn, autocommit=True) as first,
        await AsyncConnection.connect(world.dsn, autocommit=True) as second,
    ):
        await second.execute("set lock_timeout = '1s'")
        async with first.transaction():
            await once(first, anna, "new", ("a", None), _kept)
            async with second.transaction():  # while the first is not done
                assert await once(second, anna, "newer", ("b", None), _kept) == (
                    Kept(200, "", "{}"),
                    False,
                )
    rest = world.rows("select key from idempotency_key order by key")
    assert rest == [("new",), ("newer",)]
