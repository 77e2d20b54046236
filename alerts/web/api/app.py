"""The API as an application of its own, which the pages' application mounts."""

from functools import cache
from typing import Any

from fastapi import FastAPI

from alerts.web.api import acting, alerts, me, messages, patients
from alerts.web.api.document import describe
from alerts.web.api.entering import Anyone
from alerts.web.api.problem import add_handlers
from alerts.web.services import ServicesOf


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
    for module in (me, alerts, acting, patients, messages):
        api.include_router(module.router)
    described = cache(lambda: describe(api, services))

    @api.get("/openapi.json", include_in_schema=False)
    async def description(_found: Anyone) -> dict[str, Any]:
        """Describe the API to whoever is logged in."""
        return described()

    add_handlers(api)
    return api
