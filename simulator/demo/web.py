"""Web: serves the tester's page inside the orchestrator, and asks whether a page is served."""

import asyncio
import contextlib
import http.client
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

_ANSWER_S: Final = 1.0
_SERVER_ERROR: Final = 500


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the orchestrator."""
        yield


async def serve(app: FastAPI, port: int) -> None:
    """Serve *app* at 127.0.0.1:*port* until cancelled."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="critical",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=0,  # pages that listen for news never finish by themselves
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = server.force_exit = True
        await serving
        raise


def is_served(port: int) -> bool:
    """Return whether a web server answers at 127.0.0.1:*port*."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < _SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
