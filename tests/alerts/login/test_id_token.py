"""What the provider sends is believed only when all of it is right. This one is real, and lies."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from alerts.config import ProviderSettings
from alerts.web import oidc
from alerts.web.oidc import Answer, Begun, Identity, Provider, ProviderAway
from alerts.web.oidc_token import LoginRefused, Reason
from tests.alerts.login.liar import Claims, Liar, as_json

BEGUN = Begun("state", "nonce-of-this-login", "verifier")
SECRET = "a secret that both know"


@pytest.fixture(scope="module")
def server() -> Iterator[Liar]:
    with Liar() as running:
        yield running


@pytest.fixture
def liar(server: Liar) -> Liar:
    """The server, honest until told otherwise."""
    server.key = ECKey.generate_key("P-256", {"kid": "first", "use": "sig"})
    server.replies.clear()
    server.asked.clear()
    server.claims = honest(server)
    return server


@pytest.fixture
async def provider(liar: Liar, tmp_path: Path) -> AsyncIterator[Provider]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    made = Provider(
        ProviderSettings(
            issuer=liar.issuer,
            client_id="egenmonitor",
            client_secret_file=secret,
            acr_values=("loa3",),
            staff_claim="hsa_id",
        ),
        "http://test",
    )
    yield made
    await made.close()


def honest(liar: Liar) -> Claims:
    now = int(time.time())
    return {
        "iss": liar.issuer,
        "sub": "anna",
        "aud": "egenmonitor",
        "exp": now + 300,
        "iat": now,
        "auth_time": now - 5,
        "nonce": BEGUN.nonce,
        "acr": "loa3",
        "hsa_id": "SE2120000000-A1",
    }


async def identify(provider: Provider, **answer: Any) -> Identity:
    return await identify_within(timedelta(seconds=20), provider, **answer)


async def identify_within(lasted: timedelta, provider: Provider, **answer: Any) -> Identity:
    """Answer a login that began so long ago."""
    now = datetime.now(UTC)
    return await provider.identify(
        Answer(code="code", **answer), BEGUN, began_at=now - lasted, now=now
    )


async def test_an_honest_token_is_believed(provider: Provider, liar: Liar) -> None:
    identity = await identify(provider)
    assert identity.subject == f"{liar.issuer} anna"
    assert identity.acr == "loa3"
    assert identity.claims == {"hsa_id": "SE2120000000-A1"}
    assert "SE2120000000" not in repr(identity)
    assert "nonce-of" not in repr(BEGUN)
    assert "verifier'" not in repr(BEGUN)
    assert repr(BEGUN) == "Begun()"


MISSING = object()
WRONG_CLAIMS: dict[str, Claims] = {
    "another login's nonce": {"nonce": "another"},
    "no nonce": {"nonce": MISSING},
    "an empty nonce": {"nonce": ""},
    "for another": {"aud": "another"},
    "for us and another": {"aud": ["egenmonitor", "another"]},
    "for us twice and another": {"aud": ["egenmonitor", "another"], "azp": "egenmonitor"},
    "for nobody": {"aud": MISSING},
    "for an empty list": {"aud": []},
    "fetched by another": {"azp": "another"},
    "by another issuer": {"iss": "https://login.example"},
    "by no issuer": {"iss": MISSING},
    "expired": {"exp": int(time.time()) - 120},
    "without end": {"exp": MISSING},
    "an end in words": {"exp": "later"},
    "an end that is infinite": {"exp": float("inf")},
    "an end that is no number": {"exp": float("nan")},
    "made tomorrow": {"iat": int(time.time()) + 86400},
    "made yesterday": {"iat": int(time.time()) - 86400},
    "made at no time": {"iat": MISSING},
    "not good before tomorrow": {"nbf": int(time.time()) + 86400},
    "proved long ago": {"auth_time": int(time.time()) - 3600},
    "proved at no time": {"auth_time": MISSING},
    "nobody": {"sub": MISSING},
    "an empty name": {"sub": ""},
    "two words": {"sub": "anna admin"},
    "a line more": {"sub": "anna\n"},
    "a zero": {"sub": "anna\x00"},
    "a letter of ours": {"sub": "ånna"},
    "a number": {"sub": 7},
    "a name without end": {"sub": "a" * 256},
    "the hash of another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "a level that is a list": {"acr": ["loa3"]},
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
async def test_a_claim_that_is_wrong_is_refused(provider: Provider, liar: Liar, name: str) -> None:
    changed = {**liar.claims, **WRONG_CLAIMS[name]}
    liar.claims = {key: value for key, value in changed.items() if value is not MISSING}
    with pytest.raises(LoginRefused) as refused:
        await identify(provider)
    assert refused.value.reason is Reason.NOT_BELIEVED


@pytest.mark.parametrize("claim", ["auth_time", "iat"])
async def test_a_proof_of_before_this_login_is_refused(
    provider: Provider, liar: Liar, claim: str
) -> None:
    liar.claims[claim] = int(time.time()) - 120
    await identify_within(timedelta(minutes=3), provider)
    with pytest.raises(LoginRefused) as refused:
        await identify_within(timedelta(seconds=20), provider)
    assert refused.value.reason is Reason.NOT_BELIEVED


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(algorithm: str) -> Callable[[Liar], str]:
    return lambda liar: f"{_part({'alg': algorithm})}.{_part(liar.claims)}."


def _by_the_shared_secret(liar: Liar) -> str:
    return jwt.encode(
        {"alg": "HS256"}, liar.claims, OctKey.import_key(SECRET), algorithms=["HS256"]
    )


def _by_the_public_key_as_a_secret(liar: Liar) -> str:
    # By hand: the library itself refuses to sign so.
    signed = f"{_part({'alg': 'HS256', 'kid': liar.key.kid})}.{_part(liar.claims)}"
    made = hmac.digest(liar.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def _by_another_of_the_same_name(liar: Liar) -> str:
    another = ECKey.generate_key("P-256", {"kid": "first"})
    return jwt.encode({"alg": "ES256", "kid": liar.key.kid}, liar.claims, another)


def _by_the_key_it_brings(liar: Liar) -> str:
    another = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "jwk": another.as_dict(private=False)}
    return jwt.encode(header, liar.claims, another)


def _changed_afterwards(liar: Liar) -> str:
    header, _, signature = liar.signed(liar.claims).split(".")
    return f"{header}.{_part({**liar.claims, 'sub': 'eva'})}.{signature}"


def _without_signature(liar: Liar) -> str:
    return liar.signed(liar.claims).rpartition(".")[0] + "."


FORGED: dict[str, Callable[[Liar], str]] = {
    "none": _unsigned("none"),
    "None": _unsigned("None"),
    "no signature": _without_signature,
    "the secret that both know": _by_the_shared_secret,
    "the public key as a secret": _by_the_public_key_as_a_secret,
    "another key of the same name": _by_another_of_the_same_name,
    "a key that it brings along": _by_the_key_it_brings,
    "changed afterwards": _changed_afterwards,
    "no token": lambda _: "no token",
    "nothing": lambda _: "",
    "five parts": lambda _: "a.b.c.d.e",
    "a list": lambda liar: liar.signed(liar.claims).split(".")[0] + f".{_part([])}.AAAA",
    "not of this world": lambda _: "å.\x00.\ud800",
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_token_that_the_provider_did_not_sign_is_refused(
    provider: Provider, liar: Liar, name: str
) -> None:
    token = FORGED[name](liar)
    liar.replies["/token"] = lambda: as_json({"access_token": "a", "id_token": token})
    with pytest.raises(LoginRefused) as refused:
        await identify(provider)
    assert refused.value.reason is Reason.NOT_BELIEVED


def _plain(status: int, body: bytes, **headers: str) -> Callable[[Liar], Any]:
    return lambda _: (status, headers, body)


def _json(value: object, status: int = 200) -> Callable[[Liar], Any]:
    return lambda _: as_json(value, status)


def _believable(status: int, after: bytes = b"", **headers: str) -> Callable[[Liar], Any]:
    """Answer what would be believed if it did not come in this way."""
    return lambda liar: (
        status,
        headers,
        json.dumps({"access_token": "a", "id_token": liar.signed(liar.claims)}).encode() + after,
    )


def _to_encrypt(liar: Liar) -> Any:
    return as_json({"keys": [{**liar.key.as_dict(private=False), "use": "enc"}]})


AWAY: dict[str, tuple[str, Callable[[Liar], Any]]] = {
    "no description": ("/.well-known/openid-configuration", _plain(404, b"")),
    "a description that lacks": ("/.well-known/openid-configuration", _json({"issuer": "x"})),
    "no keys": ("/keys", _json({"keys": []})),
    "keys that are none": ("/keys", _json({"keys": [{"kty": "EC"}, 7]})),
    "secrets as keys": ("/keys", _json({"keys": [{"kty": "oct", "k": "c2VjcmV0" * 8}]})),
    "keys to encrypt with": ("/keys", _to_encrypt),
    "broken": ("/token", _plain(500, b"oh no")),
    "broken, with a token": ("/token", _believable(500)),
    "a page": ("/token", _plain(200, b"<html>")),
    "a list": ("/token", _json([])),
    "no id token": ("/token", _json({"access_token": "a"})),
    "an id token that is no text": ("/token", _json({"id_token": 7})),
    "wrong secret": ("/token", _json({"error": "invalid_client"}, 401)),
    "refused, with a token": ("/token", _believable(403)),
    "elsewhere": ("/token", _believable(302, Location="http://127.0.0.1:9/")),
    "without end": ("/token", _believable(200, b" " * (256 * 1024))),
}


@pytest.mark.parametrize("name", AWAY)
async def test_a_provider_that_does_not_answer_as_one_is_away(
    provider: Provider, liar: Liar, name: str
) -> None:
    path, reply = AWAY[name]
    liar.replies[path] = lambda: reply(liar)
    with pytest.raises(ProviderAway) as away:
        await identify(provider)
    assert "oh no" not in str(away.value)


async def test_a_description_of_another_provider_is_not_used(
    provider: Provider, liar: Liar
) -> None:
    told = {**liar.metadata(), "issuer": "https://login.example"}
    liar.replies["/.well-known/openid-configuration"] = lambda: as_json(told)
    with pytest.raises(ProviderAway, match="another issuer"):
        await identify(provider)


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"]
)
async def test_an_endpoint_of_another_kind_is_not_used(
    provider: Provider, liar: Liar, name: str
) -> None:
    told = {**liar.metadata(), name: "https://127.0.0.1:9/"}  # the issuer here has no TLS
    liar.replies["/.well-known/openid-configuration"] = lambda: as_json(told)
    with pytest.raises(ProviderAway, match="not https"):
        await identify(provider)


async def test_without_pkce_nobody_is_sent_there(provider: Provider, liar: Liar) -> None:
    told = {**liar.metadata(), "code_challenge_methods_supported": ["plain"]}
    liar.replies["/.well-known/openid-configuration"] = lambda: as_json(told)
    with pytest.raises(ProviderAway, match="PKCE"):
        await provider.authorization_address(oidc.begin(), datetime.now(UTC))


async def test_an_answer_of_another_provider_is_refused_before_its_code_is_used(
    provider: Provider, liar: Liar
) -> None:
    with pytest.raises(LoginRefused):
        await identify(provider, issuer="https://login.example")
    told = {**liar.metadata(), "authorization_response_iss_parameter_supported": True}
    assert "/token" not in liar.asked
    liar.replies["/.well-known/openid-configuration"] = lambda: as_json(told)
    provider._metadata = None
    with pytest.raises(LoginRefused):  # it says that it names itself, and did not
        await identify(provider)
    assert "/token" not in liar.asked
    assert (await identify(provider, issuer=liar.issuer)).acr == "loa3"


async def test_a_code_that_the_provider_does_not_know_is_an_old_login(
    provider: Provider, liar: Liar
) -> None:
    liar.replies["/token"] = lambda: as_json({"error": "invalid_grant"}, 400)
    with pytest.raises(LoginRefused) as refused:
        await identify(provider)
    assert refused.value.reason is Reason.STALE


async def test_a_new_key_is_fetched_when_a_token_names_it(provider: Provider, liar: Liar) -> None:
    await identify(provider)
    liar.key = ECKey.generate_key("P-256", {"kid": "second", "use": "sig"})
    await identify(provider)
    assert liar.asked.count("/keys") == 2
    await identify(provider)
    assert liar.asked.count("/keys") == 2


async def test_the_description_is_asked_for_once_an_hour(provider: Provider, liar: Liar) -> None:
    now = datetime.now(UTC)
    for later in (0, 59, 61):
        await provider.authorization_address(oidc.begin(), now + timedelta(minutes=later))
    assert liar.asked.count("/.well-known/openid-configuration") == 2


async def test_what_userinfo_says_counts_only_of_the_same_person(
    provider: Provider, liar: Liar
) -> None:
    del liar.claims["hsa_id"]
    liar.replies["/userinfo"] = lambda: as_json({"sub": "anna", "hsa_id": "SE1", "more": 1})
    assert (await identify(provider)).claims == {"hsa_id": "SE1"}
    liar.replies["/userinfo"] = lambda: as_json({"sub": "eva", "hsa_id": "SE1"})
    with pytest.raises(LoginRefused):
        await identify(provider)


async def test_the_browser_is_sent_with_everything_that_protects_the_login(
    provider: Provider, liar: Liar
) -> None:
    begun, another = oidc.begin(), oidc.begin()
    assert len({begun.state, begun.nonce, begun.verifier, another.state, another.verifier}) == 5
    address = httpx.URL(await provider.authorization_address(begun, datetime.now(UTC)))
    asked = dict(address.params)
    assert asked.pop("code_challenge") not in ("", begun.verifier)
    assert asked == {
        "response_type": "code",
        "client_id": "egenmonitor",
        "redirect_uri": "http://test/login/oidc/svar",
        "scope": "openid",
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge_method": "S256",
        "acr_values": "loa3",
        "prompt": "login",
        "max_age": "600",
        "ui_locales": "sv",
    }
