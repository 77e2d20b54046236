"""One listener for a process wakes whom a change concerns; it comes back, and it ends."""

import asyncio

from alerts.ending import end
from alerts.signal import Hub, listen
from tests.alerts.world import World


async def test_one_listener_wakes_the_engine_and_the_lists_concerned(world: World) -> None:
    hub, alert = Hub(), asyncio.Event()
    task = asyncio.create_task(listen(world.dsn, hub, alert))
    async with asyncio.timeout(10):
        with hub.listen(["s1"]) as mine, hub.listen(["s2"]) as other:
            await alert.wait()  # at the start everybody is woken
            for event in (alert, mine, other):
                await event.wait()
                event.clear()
            world.connection.execute("select pg_notify('worklist', 's1 u7')")
            await mine.wait()
            assert not other.is_set()
            world.connection.execute("select pg_notify('alert', '')")
            await alert.wait()
            mine.clear()
            world.connection.execute("select pg_notify('worklist', '')")
            await mine.wait()
            await other.wait()
    await end([task])


async def test_a_listener_that_lost_its_connection_comes_back_and_wakes_everybody(
    world: World,
) -> None:
    hub, alert = Hub(), asyncio.Event()
    task = asyncio.create_task(listen(world.dsn, hub, alert))
    async with asyncio.timeout(10):
        await alert.wait()
        alert.clear()
        world.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        await alert.wait()
    await end([task])


def test_a_listener_that_went_away_is_forgotten() -> None:
    hub = Hub()
    with hub.listen(["a", "b"]), hub.listen(["a"]):
        pass
    assert hub._waiting == {}
    assert hub._count == 0


async def test_a_task_that_loses_a_cancellation_is_asked_again() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
    assert task.cancelled()
