"""Children that die with us, and ports that are free."""

import ctypes
import errno
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


# Below what systems hand out to outgoing connections (Linux 32768, others 49152): one of these, or
# another's bind to 0, could take the port between our look and the server's start.
_PORTS: Final = range(15_000, 32_000)
_RANDOM: Final = random.SystemRandom()  # processes that were forked must not choose alike


def free_port() -> int:
    """Return a TCP port that nobody uses at 127.0.0.1 just now, chosen at random.

    Raises:
        OSError: None is free.
    """
    for port in _RANDOM.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    raise OSError(errno.EADDRINUSE, f"no port between {_PORTS.start} and {_PORTS.stop} is free")


def is_listening(port: int) -> bool:
    """Return whether something accepts connections at 127.0.0.1:*port*."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(
    command: Sequence[str | Path],
    *,
    output: IO[bytes],
    account: tuple[int, int] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start *command* in a session of its own, so that Ctrl-C reaches us alone.

    It gets *death_signal* when the thread that called us ends, however it ends: start
    children from a thread that lives as long as they should.

    Args:
        command: Program and arguments.
        output: Where its standard output and error go.
        account: The (uid, gid) to run as; ours if none.
        death_signal: What tells it that we are gone.
    """
    uid, gid = account or (None, None)
    return subprocess.Popen(  # noqa: S603 - every command is built here, none comes from outside
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        user=uid,
        group=gid,
        extra_groups=[] if account else None,
        start_new_session=True,
        preexec_fn=_leash(death_signal),  # noqa: PLW1509 - one system call, loaded beforehand
    )


def _leash(death_signal: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def tie_to_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before the leash was on
            os.kill(os.getpid(), death_signal)

    return tie_to_parent
