"""Systemd: the service manager is told how we are, and the unit it starts us by.

The protocol is one datagram a message to the socket that ``NOTIFY_SOCKET`` names
(sd_notify(3)); too little to want a library for.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.health import Health
from gateway.log import get_logger

_log = get_logger()

SERVICE: Final = "egenmonitor-gateway"

# The loop may lawfully stand still while a worn SD card finishes one write: seconds, rarely
# tens of seconds. Two minutes are above that, and below the fifteen in which a silent gateway
# is on the technician's list.
WATCHDOG_S: Final = 120

# How often all is looked at where no service manager asks for it.
LOOK_S: Final = 30.0
# Of the time it gives us: three chances, if one message is lost or late.
_FRACTION: Final = 1 / 4

# One line in `systemctl status`.
_STATUS_CHARACTERS_MAX: Final = 200


class Notifier:
    """Speaks to the service manager; says nothing where there is none.

    Args:
        environment: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_unheard = False
        self.watchdog_s = _watchdog_s(environment)

    def tell(self, *lines: str) -> None:
        """Send one message, such as ``READY=1``; a manager that does not listen is no fault."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # a manager that reads nothing must not hold us up
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._is_unheard:
                _log.warning("systemd.not_told", error=repr(error))
            self._is_unheard = True
        else:
            self._is_unheard = False


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return within how many seconds the manager wants to hear from this process, if it does."""
    pid, microseconds = environment.get("WATCHDOG_PID"), environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or (pid is not None and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000


class Reporter:
    """Tells the service manager that all is well, for as long as it is.

    ``WATCHDOG=1`` is sent from the loop that everything runs in, so it stops when the loop
    does; and it is held back when a part does not beat, or cannot be cured by being started
    again. Then the manager starts the process anew: what was kept is on the disk.

    Args:
        notifier: The manager.
        health: How the gateway is.
    """

    def __init__(self, notifier: Notifier, health: Health) -> None:
        self._notifier = notifier
        self._health = health
        self._said = ""

    async def run(self) -> None:
        """Report until cancelled."""
        within_s = self._notifier.watchdog_s
        while True:
            self.report()
            await asyncio.sleep(LOOK_S if within_s is None else within_s * _FRACTION)

    def report(self) -> None:
        """Report once."""
        dead = self._health.pulse.dead()
        if dead:
            _log.error("gateway.hangs", parts=list(dead))
        else:
            self._notifier.tell("WATCHDOG=1")
        status = _status(self._health, dead)
        if status != self._said:
            self._said = status
            self._notifier.tell(f"STATUS={status}")


def _status(health: Health, dead: tuple[str, ...]) -> str:
    words = [f"radio {health.radio.value}"]
    if dead:
        words.append(f"hangs: {', '.join(dead)}")
    words += health.problems or ["no problems"]
    return " ".join("; ".join(words).split())[:_STATUS_CHARACTERS_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What differs between one box's unit and another's.

    Attributes:
        python: The interpreter that has the gateway installed.
        config: The configuration's path.
        state: Name of the data directory in /var/lib.
        groups: Further groups of the account, such as the one that may use Bluetooth.
        devices: Device files it may open, or device classes such as ``char-ttyUSB``.
        needs_bluetoothd: Whether it uses Linux's own Bluetooth.
    """

    python: Path
    config: Path
    state: str = SERVICE
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    needs_bluetoothd: bool = True
    account: str = field(default=SERVICE)

    def text(self) -> str:
        """Return the unit file."""
        bluetooth = "bluetooth.service" if self.needs_bluetoothd else ""
        return _UNIT.format(
            after=f"network-online.target {bluetooth}".rstrip(),
            wants=f"network-online.target {bluetooth}".rstrip(),
            python=self.python,
            config=self.config,
            state=self.state,
            account=self.account,
            groups="".join(f"SupplementaryGroups={group}\n" for group in self.groups),
            devices="".join(f"DeviceAllow={device} rw\n" for device in self.devices),
            private_devices="no" if self.devices else "yes",
            watchdog_s=WATCHDOG_S,
        )

    def account_text(self) -> str:
        """Return the file that lets systemd-sysusers make the account."""
        return f'u {self.account} - "Egenmonitor gateway" /var/lib/{self.state}\n'


# Not here, and why. ProtectClock forbids even to ask whether the clock is set (adjtimex), which
# the gateway must know; ProcSubset=pid hides the boot's id, by which it knows times of this boot.
# PrivateUsers takes away the group that D-Bus lets use Bluetooth. MemoryDenyWriteExecute stops
# callbacks from C into Python on some builds.
_UNIT: Final = """\
# Written by `gateway install-service`; written over the next time. Changes of your own belong
# in a drop-in: systemctl edit egenmonitor-gateway
[Unit]
Description=Egenmonitor gateway: Bluetooth devices at home to the care service
After={after}
Wants={wants}
# A box in a home has nobody to start it by hand: never give up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m gateway run --config {config}
Restart=always
RestartSec=5
# The first start makes the store; the stop lets a device go and sends what waits.
TimeoutStartSec=60
TimeoutStopSec=20
WatchdogSec={watchdog_s}
WatchdogSignal=SIGKILL

# An account of its own, with a data directory of its own and nothing else to write to.
User={account}
{groups}StateDirectory={state}
StateDirectoryMode=0700
WorkingDirectory=/var/lib/{state}
UMask=0077
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices={private_devices}
DevicePolicy=closed
{devices}PrivateMounts=yes
ProtectProc=invisible

# No powers, and none to be had.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes

# D-Bus is a unix socket, MQTT is TCP; Bluetooth's own sockets belong to bluetoothd.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# To ask whether the clock is set; setting it needs a capability that is not there.
SystemCallFilter=adjtimex clock_adjtime
SystemCallErrorNumber=EPERM

# It needs 60 to 80 MiB. Three times that is a leak, which a restart cures.
MemoryHigh=160M
MemoryMax=256M
TasksMax=64
# No picture of the memory on the disk: keys are in it.
LimitCORE=0

[Install]
WantedBy=multi-user.target
"""
