"""An open worklist hears at once what changed, holds no connection, and ends when it should."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from alerts.care import messages
from alerts.case import Case
from alerts.web import session
from alerts.web.rows import stamp
from tests.alerts.conftest import Pool, Served, start_session
from tests.alerts.world import D, S, World

RED = {S: 192.0, D: 112.0}
STOP_S_MAX = 8.0


class Stream:
    """One listener's events."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return the next event that says something, or ("end", {}) when the stream ends."""
        name = ""
        async for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name != "heartbeat":
                return name, json.loads(line.removeprefix("data: "))
        return "end", {}


@asynccontextmanager
async def listening(served: Served, token: str) -> AsyncIterator[Stream]:
    cookies = {"session": token}
    async with (
        httpx.AsyncClient(base_url=served.address, cookies=cookies, timeout=30) as client,
        client.stream("GET", "/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(aiter(answer.aiter_lines()))


async def test_a_new_alert_is_pushed_with_its_row_and_logged_as_shown(
    world: World, pool: Pool, served: Served
) -> None:
    async with listening(served, await start_session(pool, "anna")) as stream:
        assert (await stream.next())[1]["order"] == []
        await world.measure_soon("marta", RED)
        name, told = await stream.next()
        alert = world.alert("marta")
        assert (name, told["order"]) == ("worklist", [alert])
        assert "Blodtryck 192/112 (gräns 180/110)" in told["rows"][str(alert)]
        assert "Röda 1" in told["counts"]
        assert world.rows("select staff_id from alert_log where event = 'shown'") == [
            (world.staff("anna"),)
        ]


async def test_only_the_lists_concerned_hear_of_it(
    world: World, pool: Pool, served: Served
) -> None:
    async with (
        listening(served, await start_session(pool, "anna")) as anna,
        listening(served, await start_session(pool, "lisa")) as lisa,
    ):
        assert (await anna.next())[1]["order"] == (await lisa.next())[1]["order"] == []
        await world.measure_soon("marta", RED)
        assert len((await anna.next())[1]["order"]) == 1
        await world.measure_soon("ingrid", RED)
        _, told = await lisa.next()
        assert told["order"] == [world.alert("ingrid")]


async def test_a_row_that_another_takes_and_closes_is_seen_at_once(
    world: World, pool: Pool, served: Served
) -> None:
    await world.measure_soon("sven", RED)
    alert = world.alert("sven")
    eva = await start_session(pool, "eva")
    async with (
        listening(served, await start_session(pool, "anna")) as stream,
        httpx.AsyncClient(base_url=served.address, cookies={"session": eva}) as client,
    ):
        while (await stream.next())[1]["order"] != [alert]:
            pass  # the first look may be before routing
        csrf = world.one(
            "select csrf_token from login_session where token_hash = %s", session._hash(eva)
        )
        await client.post(f"/alerts/{alert}/acknowledge", data={"csrf": csrf, "seen": "999"})
        _, told = await stream.next()
        assert "Eva Testström tog det" in told["rows"][str(alert)]
        await client.post(
            f"/alerts/{alert}/close", data={"csrf": csrf, "outcome": "other", "seen": "999"}
        )
        _, told = await stream.next()
        assert told["order"] == []


async def test_logging_out_ends_the_stream_at_once(
    world: World, pool: Pool, served: Served
) -> None:
    token = await start_session(pool, "anna")
    async with (
        listening(served, token) as stream,
        httpx.AsyncClient(base_url=served.address, cookies={"session": token}) as client,
    ):
        await stream.next()
        csrf = world.one("select csrf_token from login_session")
        async with asyncio.timeout(5):
            await client.post("/logout", data={"csrf": csrf})
            assert (await stream.next())[0] == "ended"
            assert (await stream.next())[0] == "end"


async def test_many_streams_hold_no_database_connection(
    world: World, pool: Pool, served: Served
) -> None:
    tokens = [await start_session(pool, "anna") for _ in range(40)]
    count = (
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and application_name <> 'test'"
    )
    async with httpx.AsyncClient(
        base_url=served.address, timeout=30, limits=httpx.Limits(max_connections=100)
    ) as client:
        requests = [
            client.build_request("GET", "/events", headers={"cookie": f"session={token}"})
            for token in tokens
        ]
        answers = await asyncio.gather(*(client.send(request, stream=True) for request in requests))
        streams = [Stream(aiter(answer.aiter_lines())) for answer in answers]
        for stream in streams:
            assert (await stream.next())[0] == "worklist"
        assert world.one(count) <= 20  # the process's pool and listener, and ours
        await world.measure_soon("marta", RED)
        for stream in streams:
            assert len((await stream.next())[1]["order"]) == 1
        for answer in answers:
            await answer.aclose()


@pytest.mark.parametrize("streams", [0, 5])
async def test_stopping_waits_for_no_open_stream(pool: Pool, served: Served, streams: int) -> None:
    async with httpx.AsyncClient(base_url=served.address, timeout=30) as client:
        answers = []
        for _ in range(streams):
            cookie = f"session={await start_session(pool, 'anna')}"
            request = client.build_request("GET", "/events", headers={"cookie": cookie})
            answers.append(await client.send(request, stream=True))
        began = time.monotonic()
        code = await asyncio.to_thread(served.stop)
        # Less than a second, where nothing else runs; a stream would hold it for ever.
        assert time.monotonic() - began < STOP_S_MAX
        assert code == 0
        for answer in answers:
            await answer.aclose()
    log = served.log_file.read_text()
    assert "alerts.stopped" in log
    assert "Traceback" not in log


async def test_a_nurse_who_changes_unit_does_not_go_on_seeing_the_old_queue(
    world: World, pool: Pool, served: Served
) -> None:
    token = await start_session(pool, "eva")
    async with listening(served, token) as stream:
        await stream.next()
        world.connection.execute(
            "update staff set unit_id = (select max(unit_id) from unit) where staff_id = %s",
            [world.staff("eva")],
        )
        await world.measure_soon("sven", RED)
        assert (await stream.next())[0] == "end"
    async with listening(served, token) as stream:
        assert (await stream.next())[1]["order"] == []


def test_a_row_is_sent_again_when_its_wait_or_day_would_read_otherwise() -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    facts = dict.fromkeys(Case.__dataclass_fields__) | {"opened_at": at}
    case = Case(**facts)  # type: ignore[arg-type]
    assert stamp(case, at + timedelta(seconds=70)) == stamp(case, at + timedelta(seconds=110))
    assert stamp(case, at + timedelta(seconds=70)) != stamp(case, at + timedelta(seconds=130))
    # 48 to 71 hours are two days of waiting; midnight lies between.
    assert stamp(case, at + timedelta(hours=58)) != stamp(case, at + timedelta(hours=60))


async def test_a_message_is_counted_at_once_and_no_longer_when_it_is_answered(
    world: World, pool: Pool, served: Served
) -> None:
    marta, anna = world.patient("marta"), world.viewer("anna")
    async with listening(served, await start_session(pool, "anna")) as stream:
        assert "Meddelanden" not in (await stream.next())[1]["counts"]
        async with pool.connection() as connection:
            await messages.ask(connection, marta, "Hej")
            told = (await stream.next())[1]
            assert "Meddelanden 1" in told["counts"]
            assert told["order"] == []
            await messages.see_to(connection, anna, marta, seen=10**9)
            assert "Meddelanden" not in (await stream.next())[1]["counts"]
