"""The API's own description: OpenAPI 3.1, with its two keys and every refusal."""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from alerts.web.api.problem import MEDIA, Problem
from alerts.web.guard import cookie_name
from alerts.web.services import ServicesOf

SERVER: Final = "/api/v1"
TAGS: Final = [
    {"name": "me", "description": "Who is logged in."},
    {"name": "alerts", "description": "What a person must act on, and what is done with it."},
    {"name": "patients", "description": "Whom the viewer follows, and what they measure."},
    {"name": "plans", "description": "What she is judged by, and what she does; agreed with her."},
    {"name": "pauses", "description": "When her rules are silent."},
    {"name": "loans", "description": "Which devices measure for her."},
    {"name": "readings", "description": "What was measured, put right: whose it is, if it counts."},
    {"name": "handovers", "description": "She goes over to another unit."},
    {"name": "sharing", "description": "Who else may see her: by her word, or in an emergency."},
    {"name": "messages", "description": "What patient and care write to each other."},
    {"name": "channels", "description": "How the viewer herself is reached."},
    {"name": "tasks", "description": "What is to be done that is no alert."},
    {"name": "units", "description": "Who works, who is away, who answers, who is told when."},
    {"name": "technical", "description": "Gateways and what is wrong with them; no patient."},
    {"name": "follow-up", "description": "Numbers, and who has looked at whom."},
]
_ABOUT: Final = """
What the pages show and do, for programs. Times are UTC, units stand in the names.
A patient who is not open to who asks does not exist for her: 404.
"""
_REASONS: Final = {
    400: "It cannot be read, or the cursor is none of ours",
    401: "Nobody is logged in",
    403: "The write does not carry the login's token, or is not hers to make",
    404: "It does not exist for the viewer",
    409: "Somebody else has it, or it has ended",
    412: "It has changed since it was read: how, and by whom",
    413: "It is too large",
    422: "Something is missing or wrong",
    428: "It does not say which version of the alert it is about",
    429: "Too many in an hour",
    500: "Something went wrong with us",
    503: "The database does not answer",
}
_WITH_TAG: Final = {200: "The alert", 304: "It is as the client has it"}
Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """Return the refusals an operation may answer beside those that all may."""
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _REASONS[status], "content": content}
        for status in sorted({400, 401, 404, 422, 500, 503, *statuses})
    }


def with_etag(responses: Responses, status: int = 200) -> Responses:
    """Return *responses* where that of *status* names the alert's version."""
    tag = {
        "description": "The alert's version, for If-Match.",
        "schema": {"type": "string", "examples": ['"17.0f343b0931126a20f133d67c2b018a3b"']},
        "required": True,
    }
    return {**responses, status: {"description": _WITH_TAG[status], "headers": {"ETag": tag}}}


def describe(
    api: FastAPI, services: ServicesOf, shown: Iterable[type[BaseModel]]
) -> dict[str, Any]:
    """Return the description; *shown* are the models whose examples it tells."""
    found = get_openapi(
        title=api.title,
        version="1",
        openapi_version="3.1.0",
        description=_ABOUT,
        routes=api.routes,
        tags=TAGS,
        servers=[{"url": SERVER}],
        separate_input_output_schemas=False,
    )
    components = found.setdefault("components", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = components.setdefault("schemas", {})
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    for model in shown:  # FastAPI leaves out what is null in an example
        extra = model.model_config.get("json_schema_extra")
        if model.__name__ in schemas and isinstance(extra, dict):
            schemas[model.__name__] |= extra
    components["securitySchemes"] = {
        "login": {"type": "apiKey", "in": "cookie", "name": cookie_name(services)},
        "token": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
    }
    for operations in found["paths"].values():
        for method, operation in operations.items():
            keys: dict[str, list[str]] = {"login": []}
            operation["security"] = [keys if method == "get" else {**keys, "token": []}]
    return found
