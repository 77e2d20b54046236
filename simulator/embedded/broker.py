"""MQTT 5 brokers on a loopback port: the wheel's (iotcore) and, where installed, Mosquitto.

iotcore is for the demo and for tests, never for production: it keeps no session over a
restart, has no access control, ignores Receive Maximum, and loses a message when
acknowledgements go out of order. The end-to-end receipts make that harmless here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from devices.wire import MESSAGE_BYTES_MAX
from simulator.embedded.child import free_port, is_listening, spawn

# Both brokers listen within 0.3 s; on a loaded machine it took 2 s.
START_S_MAX = 20.0
STOP_S_MAX = 2.0
_POLL_S = 0.02

# A packet is a message with its topic and properties.
_PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + 4096

_RUMQTTD = """\
id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "loopback"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {packet_bytes_max}
max_inflight_count = 500
"""

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
# 0 = no limit of its own: the client's Receive Maximum is the only back-pressure.
max_inflight_messages 0
max_queued_messages 0
log_dest stderr
log_type error
log_type warning
"""

# rumqttd logs every packet as an error span; only its last words are of use.
_SERVE = (
    "import logging, sys; logging.basicConfig(level=logging.CRITICAL);"
    " from iotcore.iotcore import IotCoreBroker;"
    " IotCoreBroker(config_path=sys.argv[1]).run_forever()"
)


class BrokerError(Exception):
    """The broker does not start; the message says why."""


class Broker(ABC):
    """A broker process of ours; usable as a context manager.

    Args:
        directory: For its configuration and log.
        port: The port at 127.0.0.1; 0 picks a free one, kept over restarts.
    """

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self.directory / "broker.log"

    @abstractmethod
    def configuration(self) -> str:
        """Return the text of the broker's configuration file."""

    @abstractmethod
    def command(self, configuration: Path) -> Sequence[str]:
        """Return the command that runs the broker in the foreground."""

    def start(self) -> None:
        """Start and wait until it listens.

        Raises:
            BrokerError: It ended, or does not listen in time.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "broker.toml"  # rumqttd wants the suffix, mosquitto takes any
        path.write_text(self.configuration())
        with self.log_file.open("ab") as output:
            process = spawn(self.command(path), output=output)
        self._process = process
        deadline = time.monotonic() + START_S_MAX
        while not is_listening(self.port):
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = self.log_file.read_text(errors="replace").strip()[-500:]
                problem = f"the broker does not listen at 127.0.0.1:{self.port}: {said}"
                raise BrokerError(problem)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop it. Harmless when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S_MAX)
        if process.poll() is None:
            process.kill()
            process.wait()


class EmbeddedBroker(Broker):
    """rumqttd inside iotcore's wheel."""

    def configuration(self) -> str:
        return _RUMQTTD.format(port=self.port, packet_bytes_max=_PACKET_BYTES_MAX)

    def command(self, configuration: Path) -> Sequence[str]:
        return [sys.executable, "-c", _SERVE, str(configuration)]


class Mosquitto(Broker):
    """Eclipse Mosquitto, where it is installed."""

    @staticmethod
    def program() -> str | None:
        """Return the path of mosquitto, or nothing where it is not installed."""
        return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def configuration(self) -> str:
        account = "user root\n" if os.geteuid() == 0 else ""
        return _MOSQUITTO.format(port=self.port) + account

    def command(self, configuration: Path) -> Sequence[str]:
        program = self.program()
        if program is None:
            problem = "mosquitto is not installed"
            raise BrokerError(problem)
        return [program, "-c", str(configuration)]
