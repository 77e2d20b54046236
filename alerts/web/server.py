"""Serves the application until told to stop, and is gone within two seconds of that."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import FastAPI

from alerts.config import WebSettings
from alerts.signal import Hub
from alerts.web.services import ServicesOf

# A request in progress takes milliseconds; a stream ends itself when the hub closes.
DRAIN_S = 1
# A proxy on the same machine is believed, as it always was.
_LOOPBACK = ("127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what is bound is told by the configuration

_log = structlog.get_logger()


class NotServed(Exception):
    """The address cannot be bound: somebody else has it, or it is not this machine's."""

    def __init__(self, web: WebSettings, error: OSError) -> None:
        super().__init__(
            f"web.port: {web.host}:{web.port} cannot be served ({os.strerror(error.errno or 0)})"
            " → stop who has it, or give another web.host or web.port"
        )


def bind(web: WebSettings) -> socket.socket:
    """Return a socket that listens where *web* says.

    Raises:
        NotServed: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return socket.create_server((web.host, web.port), family=family)
    except OSError as error:
        raise NotServed(web, error) from error


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process has one, in its root."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, listening: socket.socket, hub: Hub, stop: asyncio.Event) -> None:
    """Serve *app* on *listening* until *stop* is set; closes both the socket and *hub*."""
    services: ServicesOf = app.state.services
    web = services.web
    if web.cookie_secure and web.host in _EVERYWHERE and not web.trusted_proxies:
        _log.warning("web.no_trusted_proxy", cure="set web.trusted_proxies to the TLS proxy's")
    server = _Server(
        uvicorn.Config(
            app,
            forwarded_allow_ips=[*_LOOPBACK, *map(str, web.trusted_proxies)],
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
    host, port = listening.getsockname()[:2]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_stop(server, hub, stop), name="stop")
        _log.info("alerts.ready", address=f"http://{host}:{port}/")
        try:
            await server.serve(sockets=[listening])
        finally:
            stop.set()


async def _stop(server: uvicorn.Server, hub: Hub, stop: asyncio.Event) -> None:
    await stop.wait()
    hub.close()
    server.should_exit = True
