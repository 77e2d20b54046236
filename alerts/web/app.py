"""The application: routes, headers and failures put together. No state but its services."""

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from alerts.web.api.app import mounted
from alerts.web.errors import add_handlers
from alerts.web.pages import STATIC
from alerts.web.routes import (
    account,
    channel,
    code,
    delivery,
    emergency,
    enrolment,
    events,
    faults,
    health,
    login,
    oidc,
    patient,
    plan,
    reading,
    relative,
    sharing,
    staff,
    technician,
    thread,
)
from alerts.web.security import SecurityMiddleware
from alerts.web.services import ServicesOf


class _Static(StaticFiles):
    """Our own files; their address changes with their content, so a browser keeps them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def create_app(services: ServicesOf) -> FastAPI:
    """Return the application. Its services are the caller's to open and close."""
    app = FastAPI(title="Egenmonitor", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    for module in (
        health,
        login,
        code,
        oidc,
        account,
        channel,
        staff,
        patient,
        plan,
        reading,
        relative,
        sharing,
        emergency,
        events,
        delivery,
        enrolment,
        faults,
        technician,
        thread,
    ):
        app.include_router(module.router)
    app.router.routes.append(mounted(services))
    app.mount("/static", _Static(directory=STATIC), name="static")
    add_handlers(app)
    app.add_middleware(SecurityMiddleware, secure=services.web.cookie_secure)
    return app
