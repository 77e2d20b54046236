"""A real identity provider, as a process: npm's oidc-provider. And somebody who visits it.

EGENMONITOR_OIDC_PROVIDER names a directory into which npm has installed it:
``npm install --prefix DIRECTORY --no-package-lock --ignore-scripts oidc-provider@8.8.1``.
It is a certified implementation in another language than ours, so a misunderstanding of the
standard is not shared; of its versions this one runs on Debian's Node and on newer ones.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpx
import pytest

from alerts.config import ProviderSettings
from simulator.embedded.child import free_port
from tests.conftest import missing

SECRET = "a secret: with % and / and + and ="
STRONG, WEAK = "loa3", "loa2"
ASGI = "http://test"  # where the tests' application is
_HERE = Path(__file__).parent


class RealProvider:
    """The process."""

    def __init__(self, modules: Path, people: dict[str, Any]) -> None:
        self.proved = 0  # how often somebody proved who she is
        self.issuer = f"http://127.0.0.1:{free_port()}"
        self.served_port = free_port()  # where a process of ours may be
        returns = [f"{at}/login/oidc/svar" for at in (ASGI, f"http://127.0.0.1:{self.served_port}")]
        node = shutil.which("node") or "node"
        self._command = [
            node,
            str(_HERE / "provider.mjs"),
            str(modules),
            self.issuer,
            SECRET,
            *returns,
        ]
        self._people = people

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PEOPLE": json.dumps(self._people)},
        )
        stdout = self._process.stdout
        assert stdout is not None
        assert stdout.readline() == b"ready\n", "the provider did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def settings(self, directory: Path, **more: Any) -> ProviderSettings:
        """Return what ours is told of it."""
        secret = directory / "client_secret"
        secret.write_text(SECRET + "\n")
        return ProviderSettings(
            issuer=self.issuer,
            client_id="egenmonitor",
            client_secret_file=secret,
            acr_values=(STRONG,),
            scopes=("openid", "numbers"),
            **more,
        )

    async def visit(
        self,
        address: str,
        person: str,
        acr: str = STRONG,
        *,
        answer: str = "yes",
        browser: httpx.AsyncClient | None = None,
    ) -> str:
        """Let *person* prove who she is; return the address that she is sent back to."""
        if browser is None:
            async with httpx.AsyncClient() as fresh:
                return await self.visit(address, person, acr, answer=answer, browser=fresh)
        page = await browser.get(address)
        while page.is_redirect and self._is_here(page):
            page = await browser.get(urljoin(str(page.url), page.headers["location"]))
        if page.is_redirect:
            return page.headers["location"]
        assert "Legitimera" in page.text, page.text
        said = {"person": person, "acr": acr, "answer": answer}
        page = await browser.post(page.url, data=said)
        self.proved += 1
        while self._is_here(page):
            page = await browser.get(urljoin(str(page.url), page.headers["location"]))
        return page.headers["location"]

    def _is_here(self, page: httpx.Response) -> bool:
        location = urljoin(str(page.url), page.headers["location"])
        return location.startswith(self.issuer)


def modules() -> Path:
    """Return where the provider is installed; skip or fail without it."""
    named = os.environ.get("EGENMONITOR_OIDC_PROVIDER", "")
    found = Path(named or "/nowhere")
    if not named or shutil.which("node") is None:
        missing("oidc_provider", "EGENMONITOR_OIDC_PROVIDER is not set, or node is not installed")
    if not (found / "node_modules/oidc-provider/package.json").exists():
        pytest.fail(f"npm has installed no oidc-provider into {found}")
    return found.absolute()
