"""The orchestrator: starts every part in its order, watches them, stops them against the flow."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from devices.reading import Reading
from simulator import physiology
from simulator.care_record import Login
from simulator.demo import history
from simulator.demo.home import Home
from simulator.demo.parts import STEP_S_MAX, Parts, after
from simulator.demo.place import HISTORY_DAYS, HISTORY_GATEWAY_ID, SEED, ZONE, Begun, Place
from simulator.demo.ports import choose
from simulator.demo.progress import Progress
from simulator.demo.supervisor import DemoError
from simulator.demo.web import serve
from simulator.people import PEOPLE
from simulator.radio import VirtualRadio
from simulator.tester.app import create
from simulator.tester.bench import Bench
from simulator.tester.observer import Observer, Unseen

WORKLIST_PORT: Final = 8080
TESTER_PORT: Final = 8081
_POLL_S: Final = 0.1
# The history brings two at once; the patients bring the next.
FIRST_ALERT_S_MAX: Final = 10.0
# What the libraries of the virtual radio and of the tester's page have to say.
_LOG_LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    directory: Path
    port: int | None = None
    tester_port: int | None = None


async def run(options: Options, console: Console) -> None:
    """Run the demo until SIGINT or SIGTERM.

    Raises:
        DemoError: It cannot start or go on; alone or in an exception group.
    """
    stop = _stop_on_signal()
    with (place := Place(options.directory)).held():
        logging.basicConfig(filename=place.log("simulator"), format=_LOG_LINE)
        port, taken = choose(options.port, WORKLIST_PORT, "--port")
        tester_port, tester_taken = choose(options.tester_port, TESTER_PORT, "--tester-port")
        demo = _Demo(place, console, port, tester_port)
        demo.say("egenmonitor demo. Every person and every value in it is invented.")
        demo.say("It is no medical device, and this machine alone can reach it.")
        demo.say(*filter(None, (taken, tester_taken)), "")
        await _until(stop, demo.live(), demo.stop)
        demo.say("Stopped.")


class _Demo:
    def __init__(self, place: Place, console: Console, port: int, tester_port: int) -> None:
        self._place = place
        self._console = console
        self._worklist = f"http://127.0.0.1:{port}/"
        self._tester_port = tester_port
        self._begun = place.begun()
        self._progress = Progress(console)
        self._parts = Parts(place, self._progress, port)
        self._radio = VirtualRadio()
        self._home = Home(PEOPLE, seed=SEED, zone=ZONE)
        self._stopping = threading.Event()

    def say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    async def live(self) -> None:
        """Start everything, then keep it running; ends only by being cancelled."""
        logins, are_new = self._place.logins(self._begun)
        async with self._radio, asyncio.TaskGroup() as tasks:
            for part in self._parts.all:
                tasks.create_task(part.watch(), name=f"watch {part.name}")
            with self._progress:
                await self._start()
                dsn = self._parts.postgres.dsn()
                observer = Observer(dsn, self._place.gateway / "gateway.sqlite")
                await self._first_alert(observer)
            bench = self._bench(observer)
            tasks.create_task(bench.watch(), name="bench")
            tasks.create_task(bench.pull_plugs(), name="plugs")
            page = create(bench, worklist=self._worklist, zone=ZONE)
            tasks.create_task(serve(page, self._tester_port), name="tester's page")
            tasks.create_task(self._home.live(), name="patients")
            self._tell_addresses(logins, are_new=are_new)

    async def stop(self) -> None:
        """Stop every process."""
        self._stopping.set()
        await self._parts.stop()

    async def _start(self) -> None:
        """Start the parts side by side, each as soon as what it needs is there."""
        parts = self._parts
        async with asyncio.TaskGroup() as tasks:
            broker = tasks.create_task(parts.start_broker())
            database = tasks.create_task(parts.start_database())
            radio = tasks.create_task(self._start_radio())
            ingest = tasks.create_task(after(parts.start_ingest, broker, database))
            seed = tasks.create_task(after(parts.seed, database))
            # Before that nobody knows the gateway, and what it sends would be refused.
            tasks.create_task(after(self._start_gateway, broker, radio, seed))
            tasks.create_task(after(parts.start_alerts, database))
            tasks.create_task(after(self._send_history, ingest, seed))

    async def _start_radio(self) -> None:
        with self._progress.step("Virtual radio") as note:
            await self._home.move_in(self._radio)
            note.text = f"{self._home.devices} devices of {len(PEOPLE)} patients"

    async def _start_gateway(self) -> None:
        await self._parts.start_gateway(self._radio.transport, lambda: self._radio.hosts > 0)

    async def _send_history(self) -> None:
        if self._place.history_is_done:
            return
        with self._progress.step("History") as note:
            try:
                said = await asyncio.to_thread(
                    history.send,
                    _history(self._begun),
                    gateway_id=HISTORY_GATEWAY_ID,
                    port=self._parts.mqtt.port,
                    timeout_s=STEP_S_MAX,
                    stopping=self._stopping,
                )
            except asyncio.CancelledError:
                self._stopping.set()
                raise
            except history.HistoryError as error:
                problem = f"history: {error}\n{self._parts.ingest.last_words()}"
                raise DemoError(problem) from error
            self._place.finish_history({"stored": said.stored, "refused": dict(said.refused)})
            refused = f", refused: {dict(said.refused)}" if said.refused else ""
            note.text = f"{said.stored} readings of {HISTORY_DAYS} days stored{refused}"

    async def _first_alert(self, observer: Observer) -> None:
        """Wait until somebody has an alert to look at."""
        with self._progress.step("First alert") as note:
            routed = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_ALERT_S_MAX):
                    while not routed:
                        await asyncio.sleep(_POLL_S)
                        with suppress(Unseen):
                            routed = await observer.alerts_routed()
            note.text = f"{routed} given to a nurse so far"

    def _bench(self, observer: Observer) -> Bench:
        parts = self._parts
        return Bench(
            observer=observer,
            ledger=self._home.ledger,
            plugs={
                "Broker": parts.broker,
                "Dosa": parts.gateway,
                "Mottagning": parts.ingest,
                "Databas": parts.database,
            },
            send_high=self._home.send_high,
            send_failed=self._home.send_failed,
        )

    def _tell_addresses(self, logins: Sequence[Login], *, are_new: bool) -> None:
        self.say("", f"Ready after {self._progress.elapsed_s:.1f} s.", "")
        self.say(f"  Worklist and patient page  {self._worklist}")
        self.say(f"  Tester's page              http://127.0.0.1:{self._tester_port}/", "")
        if are_new:
            self.say("Demo logins (told once; kept in care_record.json in the demo's directory):")
            for login in logins:
                self.say(f"  {login.username:8} {login.password}   {login.who}")
        else:
            names = ", ".join(login.username for login in logins)
            self.say(f"Demo logins: {names}; passwords as before, in {self._place.care_record}")
        self.say("", f"Logs: {self._place.logs}. Ctrl-C stops everything.")


def _history(begun: Begun) -> list[Reading]:
    """Return the readings of the days before the demo was begun."""
    acts = physiology.history(
        PEOPLE, seed=SEED, last_day=begun.last_day, days=HISTORY_DAYS, zone=ZONE
    )
    until = np.datetime64(begun.at.replace(tzinfo=None), "s")
    return history.readings(acts.where(acts.measured_at < until), PEOPLE, ZONE)


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until(
    stop: asyncio.Event,
    work: Coroutine[Any, Any, None],
    end: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Do *work* until it fails or *stop* is set; *end* what it started while it lets go."""
    doing = asyncio.create_task(work, name="demo")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        ending = asyncio.create_task(end(), name="end")
        if not doing.done():
            doing.cancel()
        await asyncio.wait((doing, ending))
        ending.result()
    if not doing.cancelled():
        doing.result()
