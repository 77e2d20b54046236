"""Whose request it is: the proxy's word counts if it is one of ours, and nobody else's does."""

import asyncio
from typing import Any

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI, Request

from alerts.config import WebSettings
from alerts.signal import Hub
from alerts.web.entry import address_of
from alerts.web.server import bind, serve
from alerts.web.services import ServicesOf
from simulator.embedded.child import free_port

PATIENT = "198.51.100.7"


async def seen_as(forwarded: str, **web: Any) -> str:
    """Return whose request it is when a proxy on 127.0.0.2 says that it forwards it."""
    app, stop, hub = FastAPI(), asyncio.Event(), Hub()
    settings = WebSettings(port=free_port(), **web)
    app.state.services = ServicesOf(
        pool=None,  # type: ignore[arg-type]  # nothing is asked
        hub=hub,
        web=settings,
        hashing=anyio.CapacityLimiter(1),
    )

    @app.get("/")
    async def whose(request: Request) -> str:
        return address_of(request)

    listening = bind(settings)
    port = listening.getsockname()[1]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(app, listening, hub, stop))
        try:
            proxy = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
            async with httpx.AsyncClient(transport=proxy) as client:
                answer = await client.get(
                    f"http://127.0.0.1:{port}/", headers={"X-Forwarded-For": forwarded}
                )
        finally:
            stop.set()
    return str(answer.json())


@pytest.mark.parametrize("trusted", ["127.0.0.2", "127.0.0.0/24"])
async def test_a_proxy_of_ours_says_whose_request_it_is(trusted: str) -> None:
    assert await seen_as(PATIENT, trusted_proxies=(trusted,)) == PATIENT
    # What she herself has put before it is not believed.
    assert await seen_as(f"10.9.9.9, {PATIENT}", trusted_proxies=(trusted,)) == PATIENT


@pytest.mark.parametrize("trusted", [(), ("192.0.2.1",)])
async def test_nobody_else_does(trusted: tuple[str, ...]) -> None:
    assert await seen_as(PATIENT, trusted_proxies=trusted) == "127.0.0.2"


async def test_a_proxy_that_nobody_has_named_is_told_of() -> None:
    with structlog.testing.capture_logs() as told:
        await seen_as(PATIENT, host="0.0.0.0", trusted_proxies=("127.0.0.2",))
        assert "web.no_trusted_proxy" not in {each["event"] for each in told}
        await seen_as(PATIENT, host="0.0.0.0")
    assert "web.no_trusted_proxy" in {each["event"] for each in told}
