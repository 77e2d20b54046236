"""The API as a program uses it."""

from uuid import uuid4

import httpx

from tests.alerts.conftest import Client
from tests.alerts.world import D, S

API = "/api/v1"
RED = {S: 192.0, D: 112.0}
WORSE = {S: 199.0, D: 119.0}


class Program:
    """A client that keeps to the API's rules, unless it is told not to."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def get(
        self, path: str, *, headers: dict[str, str] | None = None, **query: object
    ) -> httpx.Response:
        asked = {
            name: [str(each) for each in value] if isinstance(value, list) else str(value)
            for name, value in query.items()
        }
        return await self.client.get(API + path, params=asked, headers=headers)

    async def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Send *body*; a header is named ``If_Match``, and one that is "" is left out."""
        sent = {"X-CSRF-Token": self.client.csrf, "Idempotency-Key": str(uuid4())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            API + path, json=body, headers={name: value for name, value in sent.items() if value}
        )

    async def version(self, alert_id: int) -> str:
        """Return the ETag of an alert."""
        answer = await self.get(f"/alerts/{alert_id}")
        assert answer.status_code == 200
        return answer.headers["ETag"]


def slug(answer: httpx.Response) -> str:
    """Return the slug of a problem, which is whole."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"].endswith(".")
    return str(problem["type"]).removeprefix("urn:problem-type:egenmonitor:")
