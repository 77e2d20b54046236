"""Server of /metrics, /livez and /readyz.

Has threads of its own, so that it answers when the event loop does not. It reads and says;
nothing can be changed through it.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST

from ingest.config import WatchSettings
from ingest.watch.health import Health, not_living, not_ready
from ingest.watch.metrics import Metrics

REQUEST_S_MAX: Final = 5.0
# Prometheus and an orchestrator ask one thing each at a time.
REQUESTS_AT_ONCE_MAX: Final = 8
_TEXT: Final = "text/plain; charset=utf-8"

Page = tuple[HTTPStatus, str, bytes]


class NotServed(Exception):
    """The port cannot be used; the message says which, and why."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], pages: dict[str, Callable[[], Page]]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.pages = pages
        self._room = threading.BoundedSemaphore(REQUESTS_AT_ONCE_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over who hung up or said nothing."""


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_S_MAX
    server: _Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.split("?")[0])
        status, content_type, body = page() if page else (HTTPStatus.NOT_FOUND, _TEXT, b"")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "ingest"

    def log_message(self, *_: object) -> None:
        """Say nothing: an orchestrator asks every few seconds."""


@contextmanager
def serving(settings: WatchSettings, metrics: Metrics, health: Health) -> Iterator[None]:
    """Serve while inside; nothing, where no port is set.

    Raises:
        NotServed: The address cannot be used.
    """
    if settings.port is None:
        yield
        return
    pages = {
        "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, metrics.page()),
        "/livez": lambda: _verdict(not_living(health, time.monotonic())),
        "/readyz": lambda: _verdict(not_ready(health, time.monotonic())),
    }
    try:
        server = _Server((settings.host, settings.port), pages)
    except OSError as error:
        what = f"watch.port: {settings.host}:{settings.port} cannot be used ({error.strerror})"
        problem = f"{what} → give each worker a port of its own"
        raise NotServed(problem) from error
    threading.Thread(target=server.serve_forever, name="watch", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _verdict(problems: list[str]) -> Page:
    if problems:
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "\n".join([*problems, ""]).encode()
    return HTTPStatus.OK, _TEXT, b"ok\n"
