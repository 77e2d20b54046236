"""The API describes itself whole, to whoever is logged in, and refuses in one form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from alerts.web.api import handovers, proposal_parts, weights
from alerts.web.api.app import MODULES, shown
from alerts.web.api.problem import _WORDS, Problem, Words
from tests.alerts.conftest import Login, Pool
from tests.alerts.web.api.program import API, Program, slug

DOCUMENT = Path(__file__).parents[4] / "docs" / "api.md"


async def _description(browse: Login) -> dict[str, Any]:
    async with browse("tove") as client:
        found: dict[str, Any] = (await Program(client).get("/openapi.json")).json()
    return found


async def test_every_operation_is_described_whole(browse: Login) -> None:
    found = await _description(browse)
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": API}]
    tags = {tag["name"] for tag in found["tags"]}
    operations = [
        (method, path, operation)
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for *_, operation in operations]
    assert len(set(names)) == len(names)
    written = DOCUMENT.read_text()
    for method, path, operation in operations:
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert operation["description"]
        assert f"| `{method.upper()} {path}` |" in written
        keys = {"login"} if method == "get" else {"login", "token"}
        assert set(operation["security"][0]) == keys
        answers = operation["responses"]
        assert {"401", "404", "422", "500", "503"} <= set(answers)
        for status, answer in answers.items():
            media = "application/json" if status < "300" else "application/problem+json"
            media = "text/csv" if status == "200" and path.endswith(".csv") else media
            content = list(answer.get("content", ()))
            assert content == ([] if status == "304" else [media]), (path, status)
        assert ("428" in answers) == ("ETag" in answers.get("200", {}).get("headers", {})) or (
            method == "get"
        )


async def test_every_answer_and_body_has_an_example_that_is_one(browse: Login) -> None:
    found = await _description(browse)
    known: dict[str, type[BaseModel]] = {"Problem": Problem}
    for model in shown():
        assert known.setdefault(model.__name__, model) is model, "two models have one name"
    named = set()
    for methods in found["paths"].values():
        for operation in methods.values():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for part in (*operation["responses"].values(), *bodies):
                for media, content in part.get("content", {}).items():
                    if media == "text/csv":
                        continue
                    named.add(content["schema"]["$ref"].rpartition("/")[2])
    assert len(named) >= 14
    for name in named:
        (example, *_) = found["components"]["schemas"][name]["examples"]
        made = known[name].model_validate(example)
        assert name == "Problem" or set(example) == set(made.model_dump()), name


async def test_what_is_not_there_or_not_so_is_a_problem_too(browse: Login) -> None:
    async with browse("anna") as client:
        anna = Program(client)
        for path in (
            "/nowhere",
            "/me/",
            "/alerts/x",
            "/alerts/1%0A2",
            "/alerts/0",
            f"/alerts/{2**63}",
            "/",
        ):
            answer = await anna.get(path)
            assert (answer.status_code, slug(answer)) == (404, "not-found"), path
        answer = await anna.post("/me")
        assert (answer.status_code, slug(answer)) == (405, "method")
        assert answer.headers["Allow"] == "GET"
        answer = await anna.get("/alerts/1", x="y")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer = await client.post(
            f"{API}/alerts/1/close", content=b"{", headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, slug(answer)) == (422, "invalid")
    async with browse(None) as client:
        for path in ("/me", "/openapi.json", "/alerts/1", "/worklist"):
            answer = await Program(client).get(path)
            assert (answer.status_code, slug(answer)) == (401, "login-needed")


async def test_a_database_that_does_not_answer_is_said(
    app: FastAPI, pool: Pool, browse: Login
) -> None:
    async with browse("anna") as client:
        await pool.close()
        answer = await Program(client).get("/me")
    assert (answer.status_code, slug(answer)) == (503, "database-away")


def _tables() -> Iterator[tuple[int, Words]]:
    """Yield the refusals that stand in tables of their modules."""
    for module in (*MODULES, proposal_parts):
        if module not in (handovers, weights):  # its refusals are those of readings
            yield from getattr(module, "REFUSED", {}).values()
    for why, (status, title) in handovers.REFUSED.items():
        slug = f"handover-{why.name.lower().replace('_', '-')}"
        yield status, Words(slug, title, why.value)


def test_every_refusal_is_written_down_and_says_what_now() -> None:
    written = DOCUMENT.read_text()
    tables = list(_tables())
    assert len({words.slug for _, words in tables}) == len(tables) > 40
    for status, words in tables:
        assert f"`{words.slug}`" in written
        assert words.detail.endswith(".")
        assert words.slug.endswith("-not-yours") == (status == 403), words.slug


@pytest.mark.parametrize("status", sorted(_WORDS))
def test_every_slug_is_written_down(status: int) -> None:
    assert f"`{_WORDS[status].slug}`" in DOCUMENT.read_text()
