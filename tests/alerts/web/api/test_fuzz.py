"""The API fuzzed from its own description: never 5xx, and every answer is one it describes.

``EGENMONITOR_FUZZ_EXAMPLES``: how many examples an operation gets, of each kind; more at night.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
from alerts.web.api.plans import PLAN
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool, start_session
from tests.alerts.web.api.program import API, RED
from tests.alerts.world import GATEWAY, World
from tests.conftest import fresh_database

EXAMPLES = int(os.environ.get("EGENMONITOR_FUZZ_EXAMPLES", "4"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


TEMPLATE = "heart_failure"
# What is there to be named in an address.
THERE = {
    "proposal_id": "select max(proposal_id) from plan_proposal",
    "pause_id": "select max(pause_id) from patient_pause",
    "loan_id": "select max(loan_id) from device_loan",
    "plan_version_id": "select min(plan_version_id) from plan_version",
    "handover_id": "select max(handover_id) from handover",
    "absence_id": "select max(absence_id) from absence",
    "duty_id": "select max(duty_id) from duty",
    "channel_id": "select min(channel_id) from channel",  # Anna's: others add their own
    "task_id": "select max(task_id) from task",
    "request_id": "select max(request_id) from review_request",
    "technical_id": "select max(technical_id) from technical",
    "access_id": "select max(access_id) from emergency_access",
}
HER_READING = "select max(reading_id::text) from reading where patient_id = %s"
RELATIVE = "select min(relative_id) from relative"


def _things(world: World) -> None:
    """Make one of each for Märta and Anna, who coordinates and reviews; one is offered to her."""
    marta, olga, anna = world.patient("marta"), world.patient("olga"), world.staff("anna")
    soon = "now() + interval '1 hour', now() + interval '1 day'"
    template = "plan_template (unit_id, key, version, name, approved_by, spec, approved_at)"
    template += " values (%s, %s, 2, 'x', 'x', %s, now())"
    request = "review_request (reading_id, patient_id, verdict, asked_at, done_at)"
    request += " select reading_id, patient_id, 'confirmed', now(), now() from reading"
    request += " where patient_id = %s"
    for statement, *values in (
        ("plan_proposal (patient_id, spec) values (%s, %s)", marta, json.dumps(PLAN)),
        (f"patient_pause (patient_id, from_at, until_at, reason) values (%s, {soon}, 'x')", marta),
        ("device_loan (patient_id, device_id, lent_from) values (%s, 'x', now())", marta),
        (request, marta),
        ("relative (patient_id, name) values (%s, 'Prov Anhörig')", marta),
        (
            "handover (patient_id, from_unit_id, to_unit_id) values (%s, %s, %s)",
            olga,
            world.viewer("lisa").unit_id,
            world.viewer("anna").unit_id,
        ),
        ("staff_function (staff_id, name, from_at) values (%s, 'coordinator', '2020-01-01')", anna),
        ("staff_function (staff_id, name, from_at) values (%s, 'reviewer', '2020-01-01')", anna),
        (
            (
                "emergency_access (patient_id, staff_id, why, until_at)"
                " values (%s, %s, 'Hittad medvetslös', now())"
            ),
            olga,
            world.staff("eva"),
        ),
        ("technical (kind, key, gateway_id) values ('silent_gateway', 'x', %s)", GATEWAY),
        (f"absence (staff_id, from_at, until_at) values (%s, {soon})", anna),
        (
            f"duty (unit_id, staff_id, from_at, until_at) values (%s, %s, {soon})",
            world.viewer("anna").unit_id,
            world.staff("eva"),
        ),
        ("channel (staff_id, kind, address) values (%s, 'email', 'x@example.org')", anna),
        (
            "task (patient_id, kind, detail) values (%s, 'phone_about_measuring', %s)",
            marta,
            json.dumps({"failures": 3, "last_at": "2026-11-23T07:12:00Z"}),
        ),
        (
            template,
            world.viewer("anna").unit_id,
            TEMPLATE,
            json.dumps(PLAN),
        ),
    ):
        world.connection.execute(f"insert into {statement}".encode(), values)


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
            _things(world)
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
        assert all(not codes & {200, 201, 202} for codes in seen.values()), seen
    for name in _reached_by(username, raw):  # comes further than the doors
        assert seen[name] & {200, 201, 202, 409}, (name, seen[name])


# What each comes further with than the doors; Anna coordinates and reviews as well.
CARE = {"alerts", "patients", "messages", "plans", "pauses", "loans", "handovers", "sharing"}
CARE |= {"readings"}
REACHES = {"anna": CARE | {"tasks", "units", "channels", "follow-up"}, "tove": {"technical"}}
ASKS = "POST /patients/{patient_id}/proposals/{proposal_id}/question"  # only the patient does
WAS_IT = "POST /patients/{patient_id}/readings/{reading_id}/was-it-me"
EXTRACT = "GET /me/looks"
CUTS = "POST /absences/{absence_id}/cut-short"  # of the one that has been withdrawn
SIGNS = "POST /units/{unit_id}/reviews"  # what was drawn: chance finds no signed name


def _reached_by(username: str, raw: dict[str, Any]) -> set[str]:
    """Return the operations that must have been answered at least once."""
    if username == "marta":
        return {ASKS, WAS_IT, EXTRACT}
    return {
        f"{method.upper()} {path}"
        for path, operations in raw["paths"].items()
        for method, operation in operations.items()
        if REACHES.get(username, set()) & set(operation["tags"])
    } - {ASKS, WAS_IT, EXTRACT, CUTS, SIGNS}


def _lead_to_what_there_is(raw: dict[str, Any], world: World) -> None:
    """Let what addresses name be there: most would name nobody. Who asks is not for chance."""
    most = {"alert_id": world.alert("sven"), "patient_id": world.patient("marta")}
    there = {name: world.one(query) for name, query in THERE.items()}
    there |= {"unit_id": world.viewer("anna").unit_id, "staff_id": world.staff("anna")}
    reading = world.one(HER_READING, most["patient_id"])
    for operations in raw["paths"].values():
        for operation in operations.values():
            del operation["security"]
            for parameter in operation.get("parameters", []):
                name, schema = parameter["name"], parameter["schema"]
                if name in most:
                    schema |= {"maximum": most[name], "examples": [most[name]]}
                elif name in there:
                    only = there[name]
                    schema |= {"minimum": only, "maximum": only, "examples": [only]}
                elif (name, parameter["in"]) == ("gateway_id", "path"):
                    schema |= {"enum": [GATEWAY], "examples": [GATEWAY]}
                elif name == "reading_id":
                    schema |= {"enum": [reading], "examples": [reading]}
                elif name == "template_key":
                    schema |= {"enum": [TEMPLATE], "examples": [TEMPLATE]}
                elif (name, parameter["in"]) == ("key", "query"):
                    schema |= {"items": {"enum": [TEMPLATE]}, "examples": [[TEMPLATE]]}


def _fuzz(
    fuzzed: Fuzzed, operation: Any, mode: GenerationMode, login: dict[str, str], seen: set[int]
) -> None:
    def check(case: Any) -> None:
        answer = fuzzed.ask(_request(fuzzed, case, login, mode))
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    if mode is GenerationMode.POSITIVE:  # what the description says that one could send
        for example in operation.get_strategies_from_examples():
            _all_of(example, check, most=1)
    _all_of(operation.as_strategy(generation_mode=mode), check, most=EXAMPLES)


def _all_of(cases: Any, check: Callable[[Any], None], most: int) -> None:
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def checked(case: Any) -> None:
        check(case)

    checked()


def _request(
    fuzzed: Fuzzed, case: Any, login: dict[str, str], mode: GenerationMode
) -> httpx.Request:
    sent = case.as_transport_kwargs(base_url=f"http://test{API}")
    made = requests.Request(**sent).prepare()
    content: Any = made.body
    if mode is GenerationMode.POSITIVE:
        content = _at_hand(fuzzed, content)
        made.headers.pop("Content-Length", None)
    headers = {**made.headers, **login}
    url = httpx.URL(str(made.url))
    if mode is GenerationMode.POSITIVE:  # what nobody guesses
        url = url.copy_remove_param("cursor")
        if "If-Match" in str(case.operation.definition.raw):
            alert = str(url).rpartition("/")[0]
            version = fuzzed.ask(httpx.Request("GET", alert, headers=login)).headers.get("ETag")
            headers["If-Match"] = version or '"1.x"'
        if "Idempotency-Key" in str(case.operation.definition.raw):
            headers["Idempotency-Key"] = str(uuid4())
    return httpx.Request(str(made.method), url, headers=_bytes(headers), content=content)


def _at_hand(fuzzed: Fuzzed, content: Any) -> Any:
    """Return a body whose times are soon and whose relative is hers: chance finds neither."""
    try:
        body = json.loads(content or b"null")
    except ValueError:
        return content
    if not isinstance(body, dict):
        return content
    now = datetime.now(UTC)
    for ahead, names in ((1, ("from_at",)), (2, ("at",)), (60, ("until", "until_at"))):
        for name in names:
            if body.get(name):
                body[name] = (now + timedelta(minutes=ahead)).isoformat()
    if body.get("relative_id"):
        body["relative_id"] = fuzzed.world.one(RELATIVE)
    return json.dumps(body).encode()


def _bytes(headers: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return headers as they travel, whatever stands in them."""
    return [(_raw(name), _raw(value)) for name, value in headers.items()]


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
