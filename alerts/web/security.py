"""What every response says to the browser, and how large a request may be. Plain ASGI."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The largest form is a note of 2,000 characters.
BODY_BYTES_MAX = 64 * 1024

# Nothing but our own files: no inline script or style, no frame, no other origin.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HSTS: Final = "max-age=31536000"


def headers(*, secure: bool) -> dict[str, str]:
    """Return what every response says; *secure*: it travels over HTTPS only."""
    return {**_HEADERS, "Strict-Transport-Security": _HSTS} if secure else _HEADERS


class SecurityMiddleware:
    """Adds the headers; pages are never kept by a cache; bodies are bounded."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = headers(secure=secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(self._headers)
                sent.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, _bounded(scope, receive), send_with_headers)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    declared = Headers(scope=scope).get("content-length", "0")
    too_large = not declared.isdigit() or int(declared) > BODY_BYTES_MAX
    seen = 0

    async def receive_bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if message["type"] == "http.request" and (too_large or seen > BODY_BYTES_MAX):
            raise HTTPException(413)
        return message

    return receive_bounded
