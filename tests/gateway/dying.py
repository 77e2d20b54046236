"""A gateway killed with SIGKILL at one exact point of its work, the n-th time it gets there.

Usage: ``python tests/gateway/dying.py CONFIG POINT N``.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.broker import Connection
from gateway.commands.run import run
from gateway.config import load
from gateway.inbox import Inbox
from gateway.outbox import Outbox

POINTS: dict[str, tuple[type, str, bool]] = {
    "before the inbox": (Inbox, "append", False),
    "between inbox and outbox": (Inbox, "append", True),
    "before the outbox": (Outbox, "append_from_session", False),
    "between outbox and publish": (Outbox, "append_from_session", True),
    "between publish and receipt": (Connection, "publish", True),
    "between receipt and its effect": (Outbox, "settle", False),
    "after the receipt": (Outbox, "settle", True),
}


def arm(point: str, times: int) -> None:
    """Let the process die at the *times*-th passing of *point*."""
    owner, name, after = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    left = [times]

    def dies(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0] and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dies)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    arm(sys.argv[2], int(sys.argv[3]))
    asyncio.run(run(load(Path(sys.argv[1]))))
