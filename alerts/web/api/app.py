"""The API as an application of its own, which the pages' application mounts."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.routing import Mount

from alerts.web.api import (
    absences,
    acting,
    alerts,
    blocks,
    channels,
    consents,
    duties,
    emergency,
    faults,
    gateways,
    handovers,
    indicators,
    loans,
    looks,
    me,
    messages,
    models,
    patients,
    pauses,
    plans,
    policies,
    proposals,
    readings,
    reviews,
    substitutes,
    tasks,
    templates,
    units,
    weights,
)
from alerts.web.api.document import SERVER, describe
from alerts.web.api.entering import Anyone
from alerts.web.api.problem import add_handlers
from alerts.web.services import ServicesOf

MODULES: Final = (
    *(me, alerts, acting, patients, messages),
    *(plans, proposals, templates, pauses, loans, readings, weights),
    *(handovers, consents, blocks, emergency),
    *(units, absences, duties, substitutes, policies, channels, tasks),
    *(faults, gateways, indicators, looks, reviews),
)


def create_api(services: ServicesOf) -> FastAPI:
    """Return the API. Its services are the caller's."""
    api = FastAPI(
        title="Egenmonitor",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.services = services
    for module in MODULES:
        api.include_router(module.router)
    described = cache(lambda: describe(api, services, shown()))

    @api.get("/openapi.json", include_in_schema=False)
    async def description(_found: Anyone) -> dict[str, Any]:
        """Describe the API to whoever is logged in."""
        return described()

    add_handlers(api)
    return api


def shown() -> Iterator[type[BaseModel]]:
    """Yield what the API answers with and takes."""
    for module in (models, *MODULES):
        for named in vars(module).values():
            if isinstance(named, type) and issubclass(named, BaseModel):
                yield named


def mounted(services: ServicesOf) -> Mount:
    """Return the API at its place, with all that lies below it: also an address of two lines."""
    mount = Mount(SERVER, create_api(services), name="api")
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount
