"""What logging in needs, made from the configuration. Nothing is decided here."""

from dataclasses import dataclass

from alerts.config import Config
from alerts.totp import Seal
from alerts.web.oidc import Provider
from ingest.settings import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class LoginOf:
    """The seal of one-time codes, and the identity provider: each, if there is one."""

    seal: Seal | None
    provider: Provider | None


def open_login(settings: Config) -> LoginOf:
    """Return the parts.

    Raises:
        ConfigError: The provider cannot send browsers back.
    """
    provider = settings.login.provider
    if provider is None:
        return LoginOf(Seal.of(settings.login.key_file), None)
    if settings.web.public_url is None:
        problem = "missing: the identity provider sends browsers back there"
        cure = "set it to the address that people use, such as https://egenmonitor.example"
        raise ConfigError([Problem("web.public_url", problem, cure)])
    return LoginOf(
        Seal.of(settings.login.key_file), Provider(provider, str(settings.web.public_url))
    )
