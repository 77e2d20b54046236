"""``run``: the parts of a worker, started in order and stopped against the flow."""

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import psycopg
import structlog

from ingest.canary import Canary
from ingest.clock import Clock
from ingest.clock.chores import chores
from ingest.commands.console import first_line
from ingest.config import Config
from ingest.consumer import MqttConsumer
from ingest.control import Control
from ingest.pipeline import Pipeline
from ingest.schema.migrate import Migrated, MigrationError, migrate
from ingest.settle import RETRY_S_MAX, RETRY_S_MIN, Settler
from ingest.watch.health import Health
from ingest.watch.metrics import Metrics
from ingest.watch.server import serving
from ingest.watch.watcher import Watcher

# A stop waits this long for the batch in hand, which takes a second at most; more is only
# needed while the database is away, and a hard kill would lose nothing either.
DRAIN_S: Final = 2.0
# A fault of ours may be in the next attempt too: somebody has to read the log.
FAILED_S: Final = 30.0
BACKLOG_EVERY_S: Final = 0.5


async def run(config: Config) -> None:
    """Bring the schema up to date, then carry readings until SIGTERM or SIGINT.

    Raises:
        MigrationError: The schema cannot be brought up to date.
        NotServed: The port of ``watch`` cannot be used.
    """
    stop = _stop_on_signal()
    health = Health(beat_s=time.monotonic())
    metrics = Metrics(health, [chore.name for chore in chores(config.retention.keep_days)])
    watcher = Watcher(config, health, metrics)
    failure: MigrationError | None = None
    with serving(config.watch, metrics, health):
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(watcher.beat(), name="beat")
            try:
                migrated = await _migrate_when_it_answers(config, stop)
                if migrated is not None:
                    await _Worker(config, metrics, watcher, migrated).carry(stop)
            except (
                MigrationError
            ) as error:  # by itself, and not in the group of one that it would be
                failure = error
            finally:
                beating.cancel()
    if failure is not None:
        raise failure
    structlog.get_logger().info("ingest.stopped")


class _Worker:
    def __init__(
        self, config: Config, metrics: Metrics, watcher: Watcher, migrated: Migrated
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._watcher = watcher
        self._edition = migrated.edition

    async def carry(self, stop: asyncio.Event) -> None:
        """Carry readings until *stop*."""
        config, database = self._config, self._config.database
        async with (
            Settler(database.conninfo, database.address(), self._metrics) as settler,
            MqttConsumer(config.broker, config.batch.receive_max, self._metrics) as consumer,
            asyncio.TaskGroup() as tasks,
        ):
            pipeline = Pipeline(consumer, settler, config.batch, self._metrics)
            carrying = tasks.create_task(pipeline.run(), name="pipeline")
            beside = [
                *self._beside(tasks),
                tasks.create_task(self._tell_backlog(consumer), name="backlog"),
            ]
            stopping = tasks.create_task(stop.wait(), name="stop")
            _collect_seldom()
            structlog.get_logger().info(
                "ingest.started",
                broker=f"{config.broker.host}:{config.broker.port}",
                client_id=config.broker.client_id,
            )
            await asyncio.wait({carrying, stopping}, return_when=asyncio.FIRST_COMPLETED)
            pipeline.stop()
            _, unfinished = await asyncio.wait({carrying}, timeout=DRAIN_S)
            for task in (*unfinished, *beside, stopping):
                task.cancel()  # what is not committed was not acknowledged

    async def _tell_backlog(self, consumer: MqttConsumer) -> None:
        """Tell what is in hand also while nothing is acknowledged: then it matters most."""
        while True:
            self._metrics.held(*consumer.held)
            await asyncio.sleep(BACKLOG_EVERY_S)

    def _beside(self, tasks: asyncio.TaskGroup) -> Sequence[asyncio.Task[None]]:
        """Start what runs beside the readings, and may begin anew without harm to them."""
        config, database = self._config, self._config.database
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "watch": partial(self._watcher.look, self._edition),
            "control": Control(database.conninfo, config.broker).run,
        }
        if config.clock.enabled:
            clock = Clock(
                database.conninfo,
                database.address(),
                keep_days=config.retention.keep_days,
                meter=self._metrics,
            )
            parts["clock"] = clock.run
        if config.canary is not None:
            parts["canary"] = Canary(config, config.canary, self._metrics).run
        return [
            tasks.create_task(_kept(name, run, self._metrics), name=name)
            for name, run in parts.items()
        ]


def _collect_seldom() -> None:
    """Let the cyclic collector look seldom: a fifth of the time of decoding goes to it.

    A decoded message is a dozen lists and no cycle. What has cycles is still collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


async def _kept(name: str, part: Callable[[], Awaitable[None]], metrics: Metrics) -> None:
    """Run *part* until cancelled; a fault of ours in it is logged whole, and it begins anew.

    It must not stop the readings, which the same process carries and which do not need it.
    """
    while True:
        try:
            await part()
        except Exception:  # noqa: BLE001 - the root of a part
            metrics.part_failed(name)
            structlog.get_logger().exception("ingest.part_failed", part=name, again_in_s=FAILED_S)
        await asyncio.sleep(FAILED_S)


async def _migrate_when_it_answers(config: Config, stop: asyncio.Event) -> Migrated | None:
    """Migrate, waiting for the database as long as it takes; none when told to stop."""
    wait_s = RETRY_S_MIN
    while not stop.is_set():
        try:
            done = await asyncio.to_thread(migrate, config.database.conninfo())
        except (psycopg.OperationalError, OSError) as error:
            structlog.get_logger().error(
                "database.unreachable",
                key="database.dsn",
                address=config.database.address(),
                problem=first_line(error),
                cure="start the database, or correct database.dsn; retrying",
            )
        else:
            say(done)
            return None if stop.is_set() else done
        wait_s = min(RETRY_S_MAX, 2 * wait_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stop.wait()
    return None


def say(done: Migrated) -> None:
    """Log what a migration did."""
    structlog.get_logger().info(
        "schema.migrated",
        edition=done.edition.value,
        applied=list(done.applied),
        skipped=list(done.skipped),
    )


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
