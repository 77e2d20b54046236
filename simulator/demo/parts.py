"""Parts: the five processes of the demo, their configurations, and how each is started."""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from simulator.demo.place import GATEWAY_ID, ZONE, Place
from simulator.demo.progress import Progress
from simulator.demo.supervisor import Component, DemoError, Program, Supervised
from simulator.demo.web import is_served
from simulator.embedded.broker import EmbeddedBroker
from simulator.embedded.postgres import Postgres
from simulator.people import PEOPLE

# A machine ten times slower than a laptop needs 20 s for the slowest step.
STEP_S_MAX: Final = 60.0
_POLL_S: Final = 0.05
# Everything is gone 3 s after Ctrl-C. What is killed loses nothing: all of it is on disk.
STOP_S_MAX: Final = 2.0
# Soon after a plug is back the lamps go on; a real gateway is more patient.
_RESEND_S: Final = 2.0
_HEARTBEAT_S: Final = 10.0
# The virtual devices answer at once; a step counter then keeps nobody waiting for long.
_SESSION_IDLE_S: Final = 1.0


class Parts:
    """The processes, by name; made without starting any of them."""

    def __init__(self, place: Place, progress: Progress, worklist_port: int) -> None:
        self._place = place
        self._progress = progress
        self._worklist_port = worklist_port
        self.postgres = Postgres(place.database)
        self.mqtt = EmbeddedBroker(place.broker)
        self.database = self._supervised("database", self.postgres)
        self.broker = self._supervised("broker", self.mqtt)
        self.gateway = self._supervised("gateway", self._program("gateway", "run"))
        self.ingest = self._supervised("ingest", self._program("ingest", "run"))
        self.alerts = self._supervised("alerts", self._program("alerts", "run"))

    @property
    def all(self) -> tuple[Supervised, ...]:
        """Every process, those that send before those that keep."""
        return self.gateway, self.alerts, self.ingest, self.broker, self.database

    async def start_database(self) -> None:
        """Start PostgreSQL and bring its tables up to date."""
        with self._progress.step("Database") as note:
            await self.database.start()
            note.text = f"PostgreSQL at 127.0.0.1:{self.postgres.port}"
        self._configure_services()
        with self._progress.step("Tables"):
            await self._run_once("alerts", "migrate")  # ingest's tables too

    async def start_broker(self) -> None:
        """Start the broker."""
        with self._progress.step("Broker") as note:
            await self.broker.start()
            note.text = f"MQTT at 127.0.0.1:{self.mqtt.port}"

    async def start_gateway(self, transport: str, is_plugged_in: Callable[[], bool]) -> None:
        """Start the box in the home, and wait until its Bluetooth adapter is in use."""
        self._configure_gateway(transport)
        with self._progress.step("Gateway"):
            await self.gateway.start()
            await self._until(self.gateway, is_plugged_in)

    async def start_ingest(self) -> None:
        """Start ingest; that it listens shows in its first receipt."""
        with self._progress.step("Ingest"):
            await self.ingest.start()

    async def start_alerts(self) -> None:
        """Start alerts, and wait until the worklist is served."""
        with self._progress.step("Worklist") as note:
            await self.alerts.start()
            await self._until(self.alerts, functools.partial(is_served, self._worklist_port))
            note.text = f"http://127.0.0.1:{self._worklist_port}/"

    async def seed(self) -> None:
        """Give alerts the care record."""
        with self._progress.step("Care record") as note:
            await self._run_once("alerts", "seed", str(self._place.care_record))
            note.text = f"{len(PEOPLE)} invented patients"

    async def stop(self) -> None:
        """Stop every process: those that send before those that keep. Bounded in time."""
        pids = {part: pid for part in self.all if (pid := part.component.pid) is not None}
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await asyncio.gather(*(part.stop() for part in self.all[:3]))
                await asyncio.gather(*(part.stop() for part in self.all[3:]))
        except TimeoutError:
            for part, pid in pids.items():
                # PostgreSQL takes its own children along when it is told to quit at once.
                how = signal.SIGQUIT if part is self.database else signal.SIGKILL
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
        for part in self.all:
            part.close()

    def _supervised(self, name: str, component: Component) -> Supervised:
        return Supervised(name, component, self._progress.tell)

    def _program(self, room: str, command: str, *words: str) -> Program:
        config = self._place.config(room)
        call = [sys.executable, "-m", room, command, "--config", str(config), *words]
        return Program(call, self._place.log(room))

    async def _run_once(self, room: str, command: str, *words: str) -> None:
        """Run a command that ends by itself."""
        program = self._program(room, command, *words)
        part = self._supervised(f"{room} {command}", program)
        try:
            await part.finish(STEP_S_MAX)
        finally:
            program.kill()  # if we were interrupted
            part.close()

    async def _until(self, part: Supervised, is_ready: Callable[[], bool]) -> None:
        """Wait until *part*, once started, is ready.

        Raises:
            DemoError: It takes too long. That it ends is its watcher's to tell.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STEP_S_MAX
        # Somebody else's server may answer in its place: it must run, too.
        while not (part.is_running and await asyncio.to_thread(is_ready)):
            if loop.time() > deadline:
                problem = f"{part.name} is not ready in {STEP_S_MAX:.0f} s\n{part.last_words()}"
                raise DemoError(problem)
            await asyncio.sleep(_POLL_S)

    def _configure_services(self) -> None:
        database = {
            "dsn": self.postgres.dsn_without_password(),
            "password_file": str(self.postgres.password_file),
        }
        log = {"format": "json"}
        broker = {"host": "127.0.0.1", "port": self.mqtt.port}
        web = {"port": self._worklist_port, "cookie_secure": False, "demo_banner": True}
        self._place.write_config("ingest", {"database": database, "broker": broker, "log": log})
        # The people are invented, and so are their passwords; a code from an app is not asked for.
        login = {"local": "all", "second_factor": "offered"}
        self._place.write_config(
            "alerts", {"database": database, "web": web, "login": login, "log": log}
        )

    def _configure_gateway(self, transport: str) -> None:
        top = {
            "gateway_id": GATEWAY_ID,
            "time_zone": ZONE.key,
            "data_dir": str(self._place.gateway),
        }
        uplink = {"host": "127.0.0.1", "port": self.mqtt.port, "resend_after_s": _RESEND_S}
        self._place.write_config(
            "gateway",
            {
                "": top,
                "radio": {"backend": "bumble", "transport": transport},
                "session": {"idle_s": _SESSION_IDLE_S},
                "uplink": uplink,
                "clock": {"doubt_after_boot_s": 0.0},  # the machine's clock is all there is
                "heartbeat": {"interval_s": _HEARTBEAT_S},
                "log": {"format": "json"},
            },
        )


async def after(work: Callable[[], Awaitable[None]], *needed: Awaitable[object]) -> None:
    """Do *work* when all that is *needed* is done."""
    await asyncio.gather(*needed)
    await work()
