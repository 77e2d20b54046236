"""A long worklist is a page at a time, for people and for programs."""

import re

import pytest

from alerts import engine
from alerts import worklist as module
from tests.alerts.conftest import Login, Pool
from tests.alerts.web.api.program import Program
from tests.alerts.world import D, P, S, World

_ROW = re.compile(r'id="case-(\d+)"')
_NEXT = re.compile(r'<a class="button" href="(/\?efter=[0-9.]+)">')


@pytest.fixture
async def five(world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Anna has five alerts, and pages of two."""
    for key, values in (("marta", {S: 192.0, D: 80.0, P: 105.0}), ("kalle", {S: 165.0, D: 80.0})):
        await world.measure_soon(key, values)
    await world.measure_soon("sven", {S: 192.0, D: 80.0, P: 125.0})
    async with pool.connection() as connection:
        await engine.advance(connection)
        listed = await module.worklist(connection, world.viewer("anna"))
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    return [row.alert_id for row in listed.rows]


async def test_who_follows_the_links_sees_all(browse: Login, five: list[int]) -> None:
    assert len(five) == 5
    seen, path = [], "/"
    async with browse("anna") as anna:
        while True:
            page = (await anna.get(path)).text
            seen += [int(alert_id) for alert_id in _ROW.findall(page)]
            assert ("data-live" in page) == (path == "/")
            if not (following := _NEXT.search(page)):
                break
            path = following[1]
        again = (await anna.get("/?efter=1.2")).text
    assert seen == five
    assert [int(alert_id) for alert_id in _ROW.findall(again)] == five[:2]
    assert "data-live" in again


async def test_a_program_follows_the_cursor(browse: Login, five: list[int]) -> None:
    seen: list[int] = []
    async with browse("anna") as client, browse("eva") as other:
        anna, page = Program(client), (await Program(client).get("/worklist")).json()
        while True:
            seen += [alert["alert_id"] for alert in page["alerts"]]
            assert page["left_out_count"] == 5 - len(seen)
            if (cursor := page["next_cursor"]) is None:
                break
            stolen = await Program(other).get("/worklist", cursor=cursor)
            assert stolen.status_code == 400
            page = (await anna.get("/worklist", cursor=cursor)).json()
    assert seen == five
