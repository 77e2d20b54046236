"""The API fuzzed from its own description: never 5xx, and every answer is one it describes.

``EGENMONITOR_FUZZ_EXAMPLES``: how many examples an operation gets, of each kind; more at night.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import anyio
import httpx
import psycopg
import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from psycopg_pool import AsyncConnectionPool
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from alerts.config import WebSettings
from alerts.signal import Hub
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool, start_session
from tests.alerts.web.api.program import API, RED
from tests.alerts.world import World
from tests.conftest import fresh_database

EXAMPLES = int(os.environ.get("EGENMONITOR_FUZZ_EXAMPLES", "4"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Fuzzed:
    """The application with its people, asked from outside any event loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._runner = asyncio.Runner()
        self._pool: Pool = AsyncConnectionPool(
            world.dsn, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
        )
        self._runner.run(self._pool.open())
        self.app: FastAPI = create_app(
            ServicesOf(
                pool=self._pool,
                hub=Hub(),
                web=WebSettings(cookie_secure=False),
                hashing=anyio.CapacityLimiter(2),
            )
        )

    def close(self) -> None:
        self._runner.run(self._pool.close())
        self._runner.close()

    def login(self, username: str) -> dict[str, str]:
        """Return the headers of somebody's program; none for nobody."""
        if not username:
            return {}
        token = self._runner.run(start_session(self._pool, username))
        csrf = self.world.one(
            "select csrf_token from login_session order by started_at desc limit 1"
        )
        return {"Cookie": f"session={token}", "X-CSRF-Token": csrf}

    def ask(self, request: httpx.Request) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.send(request)

        return self._runner.run(asked())


@pytest.fixture(scope="module")
def fuzzed(plain_postgres: Postgres, template: str) -> Iterator[Fuzzed]:
    for dsn in fresh_database(plain_postgres, template):
        with psycopg.connect(dsn, autocommit=True) as connection:
            world = World(dsn, connection)
            for key in ("marta", "kalle", "sven"):
                world.measure(key, RED)
            fuzzed = Fuzzed(world)
            yield fuzzed
            fuzzed.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("username", ["anna", "marta", "tove", ""])
def test_every_answer_is_one_that_the_description_knows(fuzzed: Fuzzed, username: str) -> None:
    described = httpx.Request("GET", f"http://test{API}/openapi.json", headers=fuzzed.login("eva"))
    raw = fuzzed.ask(described).json()
    _lead_to_what_there_is(raw, fuzzed.world)
    schema = schemathesis.openapi.from_dict(raw)
    login = fuzzed.login(username)
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        codes = seen.setdefault(operation.label, set())
        _fuzz(fuzzed, operation, GenerationMode.POSITIVE, login, codes)
        if "{" in operation.path:  # there is something to be wrong about
            _fuzz(fuzzed, operation, GenerationMode.NEGATIVE, login, codes)
    assert len(seen) == sum(len(operations) for operations in raw["paths"].values())
    if not username:
        assert all(not codes & {200, 201} for codes in seen.values()), seen
    if username == "anna":  # she comes further than the doors
        assert all(codes & {200, 201, 409} for codes in seen.values()), seen


def _lead_to_what_there_is(raw: dict[str, Any], world: World) -> None:
    """Let numbers in addresses be small: most would name nobody. Who asks is not for chance."""
    most = {"alert_id": world.alert("sven"), "patient_id": world.patient("marta")}
    for operations in raw["paths"].values():
        for operation in operations.values():
            del operation["security"]
            for parameter in operation.get("parameters", []):
                if parameter["name"] in most:
                    parameter["schema"]["maximum"] = most[parameter["name"]]


def _fuzz(
    fuzzed: Fuzzed, operation: Any, mode: GenerationMode, login: dict[str, str], seen: set[int]
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = fuzzed.ask(_request(fuzzed, case, login, mode))
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    check()


def _request(
    fuzzed: Fuzzed, case: Any, login: dict[str, str], mode: GenerationMode
) -> httpx.Request:
    sent = case.as_transport_kwargs(base_url=f"http://test{API}")
    made = requests.Request(**sent).prepare()
    content: Any = made.body
    headers = {**made.headers, **login}
    url = httpx.URL(str(made.url))
    if mode is GenerationMode.POSITIVE:  # what nobody guesses
        url = url.copy_remove_param("cursor")
        if "If-Match" in str(case.operation.definition.raw):
            alert = str(url).rpartition("/")[0]
            version = fuzzed.ask(httpx.Request("GET", alert, headers=login)).headers.get("ETag")
            headers["If-Match"] = version or '"1.x"'
        if url.path.endswith("/messages"):
            headers["Idempotency-Key"] = str(uuid4())
    return httpx.Request(str(made.method), url, headers=_bytes(headers), content=content)


def _bytes(headers: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return headers as they travel, whatever stands in them."""
    return [(_raw(name), _raw(value)) for name, value in headers.items()]


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
