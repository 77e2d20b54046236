"""The tester's page as a web application: thin; asks the bench, renders, sends.

No login: it is served on loopback only, beside invented patients. Requests of other pages are
refused all the same: the Host must be a loopback name, and a POST must come from this page.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.middleware.trustedhost import TrustedHostMiddleware

from simulator.tester.bench import Bench, Shown
from simulator.tester.measurement import Place
from simulator.tester.words import duration, part, refusal, waiting

LOOPBACK: Final = ["127.0.0.1", "localhost"]
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_SEE_OTHER: Final = 303


def create(bench: Bench, *, worklist: str, zone: ZoneInfo) -> FastAPI:
    """Return the application for *bench*; *worklist* is the address of the nurse's page."""
    app = FastAPI(openapi_url=None)
    static = Path(__file__).with_name("static")
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    app.middleware("http")(_guard)
    pages = Environment(
        loader=PackageLoader("simulator.tester"), autoescape=True, undefined=StrictUndefined
    )
    pages.filters["duration"] = duration
    pages.filters["refusal"] = refusal
    pages.filters["part"] = part
    pages.filters["waiting"] = waiting
    pages.filters["clock"] = lambda at: at.astimezone(zone).strftime("%H:%M:%S")
    pages.globals["Place"] = Place

    def fragment(shown: Shown) -> str:
        return pages.get_template("live.html").render(shown=shown)

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        shown = bench.shown()
        return pages.get_template("bench.html").render(
            shown=shown, worklist=worklist, plugs=list(bench.plugs)
        )

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(_stream(bench, fragment), media_type="text/event-stream")

    @app.post("/send")
    async def send(what: Annotated[str, Form()]) -> Response:
        try:
            bench.send(what)
        except KeyError:
            raise HTTPException(404) from None
        return RedirectResponse("/", _SEE_OTHER)

    @app.post("/pull")
    async def pull(plug: Annotated[str, Form()]) -> Response:
        try:
            bench.pull(plug)
        except KeyError:
            raise HTTPException(404) from None
        return RedirectResponse("/", _SEE_OTHER)

    return app


async def _stream(bench: Bench, fragment: Callable[[Shown], str]) -> AsyncIterator[str]:
    """Yield a server-sent event whenever what is shown has changed."""
    sent = ""
    async for shown in bench.changes():
        html = fragment(shown)
        if html != sent:
            sent = html
            state = {"html": html, "unplugged": shown.unplugged is not None}
            yield f"data: {json.dumps(state)}\n\n"


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    origin = request.headers.get("origin")
    if request.method == "POST" and origin not in (None, f"http://{request.headers['host']}"):
        return Response("Bara härifrån.", status_code=403)
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response
