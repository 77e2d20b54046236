"""Ports: the preferred ones where they are free, others where not."""

import socket

from simulator.demo.supervisor import DemoError
from simulator.embedded.child import free_port


def is_free(port: int) -> bool:
    """Return whether we could listen at 127.0.0.1:*port* now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose(wanted: int | None, preferred: int, option: str) -> tuple[int, str]:
    """Return a port to listen at, and what to say about it, if anything.

    Args:
        wanted: What the command line asked for; none is no wish.
        preferred: What to take if there is no wish.
        option: The command line's name for it.

    Raises:
        DemoError: The wish cannot be met.
    """
    if wanted is not None:
        if not is_free(wanted):
            problem = f"{option} {wanted}: the port is taken; name another one, or none"
            raise DemoError(problem)
        return wanted, ""
    if is_free(preferred):
        return preferred, ""
    port = free_port()
    return port, f"Port {preferred} is taken, so {port} is used."
