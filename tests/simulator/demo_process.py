"""The demo as a process of its own, and its family tree, for tests."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simulator.embedded.child import free_port

READY_S_MAX = 100.0


@dataclass
class DemoProcess:
    """A running ``python -m simulator demo`` and what it has said."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def said(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, "\n".join(self.lines))

    def wait_for(self, pattern: str, within_s: float = READY_S_MAX) -> re.Match[str]:
        wait_until(lambda: self.said(pattern) is not None or self.ended.is_set(), within_s)
        found = self.said(pattern)
        assert found, "\n".join(["the demo did not say it; it said:", *self.lines])
        return found

    @property
    def worklist(self) -> str:
        return self.wait_for(r"Worklist and patient page +(http\S+)")[1]

    @property
    def tester(self) -> str:
        return self.wait_for(r"Tester's page +(http\S+)")[1]

    @property
    def ready_s(self) -> float:
        return float(self.wait_for(r"Ready after ([\d.]+) s")[1])

    def password(self, username: str) -> str:
        return self.wait_for(rf"  {username} +(\S+)   ")[1]

    def family(self) -> dict[int, str]:
        """Return the process and its descendants, as pid → start time and command."""
        parents = {pid: entry for pid in _pids() if (entry := _entry(pid)) is not None}
        family = {self.process.pid}
        while grown := {pid for pid, (parent, _) in parents.items() if parent in family} - family:
            family |= grown
        return {pid: parents[pid][1] for pid in family if pid in parents}


def survivors(family: dict[int, str]) -> dict[int, str]:
    """Return those of *family* that still live."""
    return {pid: who for pid, who in family.items() if (entry := _entry(pid)) and entry[1] == who}


def wait_until(is_so: Callable[[], object], within_s: float) -> float:
    """Wait until *is_so*; return after how long, or *within_s* if it never was."""
    began = time.monotonic()
    while not is_so() and time.monotonic() - began < within_s:
        time.sleep(0.02)
    return time.monotonic() - began


@contextlib.contextmanager
def running_demo(directory: Path, *words: str) -> Iterator[DemoProcess]:
    """Start the demo in *directory*; kill it at the end if the test has not stopped it.

    On ports of its own: two that start at once would both find the usual ones free.
    """
    if "--port" not in words:
        ports = ("--port", str(free_port()), "--tester-port", str(free_port()))
        words = (*words, *ports)
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "demo", "--directory", str(directory), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    demo = DemoProcess(process)
    reader = threading.Thread(target=_read, args=(demo,), daemon=True)
    reader.start()
    try:
        yield demo
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(10)
        assert process.stdout
        process.stdout.close()


def _read(demo: DemoProcess) -> None:
    assert demo.process.stdout
    for line in demo.process.stdout:
        demo.lines.append(line.rstrip("\n"))
    demo.ended.set()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _entry(pid: int) -> tuple[int, str] | None:
    """Return parent pid, and start time with command, of a process that is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    command, rest = text[: text.rindex(")")], text[text.rindex(")") + 2 :].split()
    return None if rest[0] in "ZX" else (int(rest[1]), f"{command} {rest[19]}")
