"""For supervisors: does the process live, and can it serve. No login, nothing told."""

import psycopg
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from psycopg_pool import PoolTimeout

from alerts.web.services import Services

router = APIRouter()


@router.get("/livez")
async def livez() -> PlainTextResponse:
    """Answer as long as the process can."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(services: Services) -> PlainTextResponse:
    """Answer whether the database does."""
    try:
        async with services.pool.connection() as connection:
            await connection.execute("select 1 from alert_case limit 1")
    except (psycopg.Error, PoolTimeout):
        return PlainTextResponse("database: no answer\n", 503)
    return PlainTextResponse("ok\n")
