"""What the commands that serve a radio share: ``--listen host:port``, and how they fail."""

import sys
from typing import Final, NoReturn

from rich.console import Console

PORT_MAX: Final = 65535


class BadListen(ValueError):
    """The text names no address to serve at."""


def listen_at(listen: str) -> tuple[str, int]:
    """Return host and port of *listen*.

    Raises:
        BadListen: It is not ``host:port``.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > PORT_MAX:
        problem = f"--listen {listen}: is not host:port. Give for example 127.0.0.1:7777"
        raise BadListen(problem)
    return host, int(port)


def exit_with(problem: str, code: int) -> NoReturn:
    """Say on stderr what is wrong, a line each, and end the process."""
    Console(stderr=True).print(problem, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
