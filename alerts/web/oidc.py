"""Login by an identity provider: OpenID Connect, authorization code flow with PKCE.

Nothing that a browser carries is believed. What counts is the ID token, fetched by us with a code
and the proof that it was us who asked: signed by the provider's key, made for us, for this login
(nonce), now, and at a level of assurance that is enough.

Sources: OpenID Connect Core 1.0, section 3.1.3.7; RFC 7636 (PKCE); RFC 9207 (issuer in the answer);
RFC 9700 (best current practice); RP-Initiated Logout 1.0.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import BaseModel, ConfigDict, ValidationError

from alerts.config import ProviderSettings
from alerts.web.oidc_token import (
    LEEWAY,
    IdToken,
    LoggedOut,
    LoginRefused,
    Reason,
    fields,
    logged_out,
    of_this_login,
    only_ours,
    plain,
)
from ingest.settings import read_secret

ANSWER_PATH: Final = "/login/oidc/svar"
# Signed with the provider's private key. None with a secret that both know, and never "none".
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_KEY_TYPES: Final = ("RSA", "EC", "OKP")
# At the provider: to find the card and type its code.
BEGUN_MAX: Final = timedelta(minutes=10)
# What the provider says of itself changes seldom; a key that is not known is asked for at once.
_KEPT_MAX: Final = timedelta(hours=1)
_TIMEOUT_S: Final = 5.0
_ANSWER_BYTES_MAX: Final = 256 * 1024
_TOKEN_BYTES: Final = 32


class ProviderAway(Exception):
    """The provider does not answer, or not as one: nobody can log in by it now."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What is kept of a login that goes to the provider. Secrets, all three."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the browser brought back."""

    code: str = field(default="", repr=False)
    error: str = ""
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the provider vouches for."""

    subject: str  # issuer and subject, as in account.subject
    acr: str
    sid: str  # which session there; "" if untold
    claims: dict[str, Any] = field(repr=False)


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    authorization_response_iss_parameter_supported: bool = False


def begin() -> Begun:
    """Return the secrets of a new login."""
    state, nonce, verifier = (secrets.token_urlsafe(_TOKEN_BYTES) for _ in range(3))
    return Begun(state, nonce, verifier)


class Provider:
    """The identity provider, as its configuration and its own description name it."""

    def __init__(self, settings: ProviderSettings, public_url: str) -> None:
        self.settings = settings
        # Where it sends browsers back to.
        self.answer_address = public_url.rstrip("/") + ANSWER_PATH
        self.login_address = public_url.rstrip("/") + "/login"
        # A redirect of a server that is trusted with our secret is not followed.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)
        self._metadata: _Metadata | None = None
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def authorization_address(self, begun: Begun, now: datetime) -> str:
        """Return where the browser goes. She proves who she is anew: desks are shared.

        Raises:
            ProviderAway: It does not say where that is.
        """
        metadata = await self._described(now)
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.answer_address,
            "scope": " ".join(self.settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": create_s256_code_challenge(begun.verifier),
            "code_challenge_method": "S256",
            "acr_values": " ".join(self.settings.asked),
            "prompt": "login",
            "max_age": str(int(BEGUN_MAX.total_seconds())),
            "ui_locales": "sv",
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked, quote_via=quote)}"

    async def logout_address(self, now: datetime) -> str:
        """Return where a browser logs out at the provider; "" if it has no such place.

        Raises:
            ProviderAway: It cannot be asked.
        """
        endpoint = (await self._described(now)).end_session_endpoint
        # No id_token_hint: it holds her number, which must stand in no address. So she is asked.
        asked = {
            "client_id": self.settings.client_id,
            "post_logout_redirect_uri": self.login_address,
            "ui_locales": "sv",
        }
        joint = "&" if "?" in endpoint else "?"
        return f"{endpoint}{joint}{urlencode(asked, quote_via=quote)}" if endpoint else ""

    async def logged_out(self, token: str, now: datetime) -> LoggedOut:
        """Return whose sessions the provider says are over.

        Raises:
            LoginRefused: It does not say so, or what it says is not believed.
            ProviderAway: Its keys cannot be had.
        """
        await self._described(now)
        try:
            read = await self._verified(token)
        except (JoseError, ValueError) as error:
            problem = f"logout token: {type(error).__name__}"
            raise LoginRefused(Reason.NOT_BELIEVED, problem) from error
        return logged_out(dict(read.claims), self._issuer, self.settings.client_id, now)

    async def identify(
        self, answer: Answer, begun: Begun, *, began_at: datetime, now: datetime
    ) -> Identity:
        """Return whom the provider vouches for, by a proof since *began_at*.

        Raises:
            LoginRefused: It vouches for nobody, or what it says is not believed.
            ProviderAway: It cannot be asked.
        """
        metadata = await self._described(now)
        is_named = answer.issuer is not None
        if answer.issuer != metadata.issuer and (
            is_named or metadata.authorization_response_iss_parameter_supported
        ):
            raise LoginRefused(Reason.NOT_BELIEVED, "the answer is another provider's")
        if answer.error:
            raise LoginRefused(Reason.CANCELLED, plain(answer.error))
        if not answer.code:
            raise LoginRefused(Reason.NOT_BELIEVED, "no code")
        token = await self._exchange(metadata, answer.code, begun)
        claims = await self._believed(token, begun, began_at, now)
        if self._wanted - claims.keys() and metadata.userinfo_endpoint:
            claims |= await self._told(metadata, token, str(claims["sub"]))
        return Identity(
            subject=f"{metadata.issuer} {claims['sub']}",
            acr=str(claims.get("acr", "")),
            sid=str(claims.get("sid") or ""),
            claims={name: claims[name] for name in self._wanted if name in claims},
        )

    @property
    def _wanted(self) -> set[str]:
        return {self.settings.staff_claim, self.settings.patient_claim} - {""}

    async def _described(self, now: datetime) -> _Metadata:
        """Return what the provider says of itself, an hour old at most."""
        fresh = self._fetched_at is not None and now - self._fetched_at < _KEPT_MAX
        if self._metadata is not None and fresh:
            return self._metadata
        address = f"{self.settings.issuer}/.well-known/openid-configuration"
        try:
            found = _Metadata.model_validate(await self._get(address))
        except ValidationError as error:
            raise ProviderAway(fields(error)) from error
        if found.issuer.rstrip("/") != self.settings.issuer:
            problem = "the description names another issuer"
            raise ProviderAway(problem)
        if "S256" not in found.code_challenge_methods_supported:
            problem = "no PKCE with S256"
            raise ProviderAway(problem)
        for endpoint in (
            found.authorization_endpoint,
            found.token_endpoint,
            found.jwks_uri,
            found.userinfo_endpoint or found.token_endpoint,
            found.end_session_endpoint or found.token_endpoint,
        ):
            _of_one_kind(endpoint, self.settings.issuer)
        self._metadata, self._keys, self._fetched_at = found, None, now
        return found

    async def _exchange(self, metadata: _Metadata, code: str, begun: Begun) -> dict[str, Any]:
        """Return the tokens for *code*; the secret goes in a header (RFC 6749, section 2.3.1)."""
        secret = read_secret(self.settings.client_secret_file)
        answer = await self._asked(
            "POST",
            metadata.token_endpoint,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.answer_address,
                "code_verifier": begun.verifier,
            },
            auth=httpx.BasicAuth(quote(self.settings.client_id, safe=""), quote(secret, safe="")),
        )
        if answer.get("error") == "invalid_grant":
            raise LoginRefused(Reason.STALE, "the provider does not know the code")
        if "error" in answer or not isinstance(answer.get("id_token"), str):
            raise ProviderAway("no ID token: " + plain(str(answer.get("error", ""))))
        return answer

    async def _believed(
        self, token: dict[str, Any], begun: Begun, began_at: datetime, now: datetime
    ) -> dict[str, Any]:
        """Return the ID token's claims, checked.

        Raises:
            LoginRefused: It is not signed, not for us, not for this login, or not of now.
        """
        try:
            read = await self._verified(token["id_token"])
            decided = IdToken.model_validate(read.claims)
            options: Any = {
                "iss": {"essential": True, "value": self._issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
            }
            parameters = {
                "nonce": begun.nonce,
                "client_id": self.settings.client_id,
                "access_token": token.get("access_token"),
            }
            claims = CodeIDToken(dict(read.claims), read.header, options, parameters)
            claims.validate(now=int(now.timestamp()), leeway=int(LEEWAY.total_seconds()))
        except ValidationError as error:
            raise LoginRefused(Reason.NOT_BELIEVED, f"ID token: {fields(error)}") from error
        except (JoseError, ValueError) as error:
            # The error's own words can quote the token.
            raise LoginRefused(Reason.NOT_BELIEVED, f"ID token: {type(error).__name__}") from error
        only_ours(decided, self.settings.client_id)
        of_this_login(decided, began_at, now)
        return dict(read.claims)

    @property
    def _issuer(self) -> str:
        assert self._metadata is not None
        return self._metadata.issuer

    async def _verified(self, text: str) -> jwt.Token:
        """Return the token if one of the provider's keys signed it; an unknown key is asked for."""
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        if self._keys is not None:
            try:
                return jwt.decode(text, self._keys, registry=registry)
            except (JoseError, ValueError):  # perhaps they have a new one
                self._keys = None
        self._keys = await self._fetched_keys()
        return jwt.decode(text, self._keys, registry=registry)

    async def _fetched_keys(self) -> KeySet:
        assert self._metadata is not None
        told = (await self._get(self._metadata.jwks_uri)).get("keys")
        keys = [
            key
            for key in (told if isinstance(told, list) else [])
            if isinstance(key, dict)
            and key.get("kty") in _KEY_TYPES
            and key.get("use", "sig") == "sig"
        ]
        if not keys:
            problem = "no key to verify with"
            raise ProviderAway(problem)
        try:
            return KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, KeyError) as error:
            problem = f"keys: {type(error).__name__}"
            raise ProviderAway(problem) from error

    async def _told(
        self, metadata: _Metadata, token: dict[str, Any], subject: str
    ) -> dict[str, Any]:
        """Return further claims, if they are of the same person."""
        access = str(token.get("access_token", ""))
        bearer = {"Authorization": f"Bearer {access}"}
        told = await self._asked("GET", metadata.userinfo_endpoint, headers=bearer)
        if told.get("sub") != subject:
            raise LoginRefused(Reason.NOT_BELIEVED, "userinfo is of somebody else")
        return {name: told[name] for name in self._wanted if name in told}

    async def _get(self, address: str) -> dict[str, Any]:
        answer = await self._asked("GET", address)
        if "error" in answer:
            raise ProviderAway(plain(str(answer["error"])))
        return answer

    async def _asked(self, method: str, address: str, **request: Any) -> dict[str, Any]:
        """Return the JSON object that the provider answers, of bounded size.

        Raises:
            ProviderAway: It is none, or does not come.
        """
        try:
            async with self._http.stream(method, address, **request) as response:
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _ANSWER_BYTES_MAX:
                        problem = "an answer that does not end"
                        raise ProviderAway(problem)
                if response.status_code >= 500 or response.is_redirect:  # noqa: PLR2004
                    problem = f"status {response.status_code}"
                    raise ProviderAway(problem)
                answer = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderAway(type(error).__name__) from error
        except ValueError as error:
            problem = "an answer that is no JSON"
            raise ProviderAway(problem) from error
        if not isinstance(answer, dict):
            problem = "an answer that is no JSON object"
            raise ProviderAway(problem)
        if response.status_code >= 400 and "error" not in answer:  # noqa: PLR2004
            problem = f"status {response.status_code}"
            raise ProviderAway(problem)
        return answer


def _of_one_kind(endpoint: str, issuer: str) -> None:
    """Refuse an endpoint without TLS where the issuer has it."""
    if urlsplit(endpoint).scheme != urlsplit(issuer).scheme:
        problem = "an endpoint is not https"
        raise ProviderAway(problem)
