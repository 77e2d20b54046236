"""Supervision of the demo's processes: started once, watched, restarted, told when they die.

Each has a keeper: one thread that lives as long as the demo and starts the process, because a
child is leashed to the thread that started it (``simulator.embedded.child.spawn``). However the
demo ends, its processes end with it.
"""

import asyncio
import signal
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

from simulator.embedded.broker import BrokerError
from simulator.embedded.child import spawn
from simulator.embedded.postgres import PostgresError

# A process that has lived so long has started: imports, configuration and connecting take 2 s.
STEADY_S: Final = 10.0
RESTART_S: Final = 1.0
RESTART_S_MAX: Final = 30.0
STARTS_FAILED_MAX: Final = 2
LAST_LINES: Final = 8
_LOG_TAIL_BYTES: Final = 8192
_WATCH_S: Final = 0.1
# Everything must be gone 3 s after Ctrl-C; the database gets what the others leave.
STOP_S_MAX: Final = 1.2

# Sent by a person or by another process: how it ended says nothing of whether it can start.
_FROM_OUTSIDE: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT})

_T = TypeVar("_T")


class DemoError(Exception):
    """The demo cannot go on; the message says why and what would help."""


class Component(Protocol):
    """A process of the demo, as PostgreSQL, the broker and ``Program`` are one."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""

    @property
    def log_file(self) -> Path:
        """Where its output goes."""

    def start(self) -> None:
        """Start it; blocks until it can be used, if it is of that kind."""

    def stop(self) -> None:
        """Stop it; blocks until it is gone."""

    def kill(self) -> None:
        """Kill it with SIGKILL."""


class Program:
    """One of our own programs as a process, its output in a log file."""

    def __init__(self, command: Sequence[str], log_file: Path) -> None:
        self.command = tuple(command)
        self.log_file = log_file
        self.ended_with: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        if self._process is None:
            return None
        self.ended_with = self._process.poll()
        return self._process.pid if self.ended_with is None else None

    def start(self) -> None:
        """Start it and return at once."""
        with self.log_file.open("ab") as output:
            # Nothing in it needs a goodbye: what it had is on disk, or is sent again.
            self._process = spawn(self.command, output=output, death_signal=signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop; kill it if it has not within ``STOP_S_MAX``."""
        if self.pid is None or self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self.pid is not None and self._process is not None:
            self._process.kill()
            self._process.wait()

    def finish(self, timeout_s: float) -> int:
        """Start it, wait until it has ended by itself and return its exit code."""
        self.start()
        assert self._process is not None
        try:
            self.ended_with = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            problem = f"it takes longer than {timeout_s:.0f} s"
            raise DemoError(problem) from None
        return self.ended_with


class Supervised:
    """Keeps one component running until told otherwise."""

    def __init__(self, name: str, component: Component, tell: Callable[[str], None]) -> None:
        self.name = name
        self.component = component
        self.restarts = 0
        self._tell = tell
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix=f"keeper of {name}")
        self._wanted = False
        self._changed = asyncio.Condition()
        self._failed_starts = 0

    @property
    def is_running(self) -> bool:
        """Whether the process is there just now."""
        return self.component.pid is not None

    async def start(self) -> None:
        """Start the component.

        Raises:
            DemoError: It is a server, and does not come to answer.
        """
        await self._begin()
        async with self._changed:
            self._wanted = True
            self._changed.notify_all()

    async def stop(self) -> None:
        """Stop the component, and leave it stopped until ``start``."""
        self._wanted = False
        await self._kept(self.component.stop)

    async def pull(self) -> None:
        """End the component the hard way, as when its plug is pulled, until ``start``."""
        self._wanted = False
        await self._kept(self.component.kill)

    async def finish(self, timeout_s: float) -> None:
        """Run a program that ends by itself.

        Raises:
            DemoError: It failed; with its last words.
        """
        assert isinstance(self.component, Program)
        program = self.component
        code = await self._kept(lambda: program.finish(timeout_s))
        if code != 0:
            problem = f"{self.name} ended with {code}\n{self.last_words()}"
            raise DemoError(problem)

    async def watch(self) -> None:
        """Restart the component whenever it ends unasked, later and later.

        Raises:
            DemoError: It cannot be started, twice in a row.
        """
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._wanted)
            lasted_s = await self._lasts()
            if self._wanted:
                await self._restart(lasted_s)

    def last_words(self) -> str:
        """Return the last lines of the log."""
        return last_lines(self.component.log_file)

    def close(self) -> None:
        """Let the keeper go; the component must be stopped."""
        self._keeper.shutdown(wait=False)

    async def _lasts(self) -> float:
        """Return after how long the component is no longer there."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # The end of a process is not an event of this loop: it is looked for.
        while self._wanted and self.component.pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(_WATCH_S)
        return loop.time() - began

    async def _restart(self, lasted_s: float) -> None:
        code = getattr(self.component, "ended_with", None)
        self._tell(f"{self.name} ended unexpectedly ({_how(code)}); its last lines:")
        self._tell(self.last_words())
        if lasted_s >= STEADY_S or code in _FROM_OUTSIDE:
            self._failed_starts = 0
        else:
            self._failed_starts += 1
            if self._failed_starts >= STARTS_FAILED_MAX:
                problem = f"{self.name} cannot start\n{self.last_words()}"
                raise DemoError(problem)
        wait_s = min(RESTART_S * 2**self._failed_starts, RESTART_S_MAX)
        self._tell(f"{self.name} is started again in {wait_s:.0f} s")
        await asyncio.sleep(wait_s)
        if self._wanted:
            self.restarts += 1
            await self._begin()

    async def _begin(self) -> None:
        try:
            await self._kept(self.component.start)
        except (BrokerError, PostgresError) as error:
            problem = f"{self.name}: {error}"
            raise DemoError(problem) from error

    async def _kept(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._keeper, work)


def last_lines(log_file: Path) -> str:
    """Return the last lines of *log_file*, indented."""
    try:
        text = log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
    except OSError as error:
        return f"    ({error})"
    lines = text.splitlines()[-LAST_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it said nothing)"


def _how(code: int | None) -> str:
    if code is None:
        return "gone"
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
