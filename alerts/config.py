"""What alerts is told: database, web, login, mail and SMS, enrolment of gateways."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, IPvAnyNetwork, model_validator
from pydantic_settings import SettingsConfigDict

from alerts.channels.settings import MailSettings, SmsSettings, VoiceSettings, WebAddress
from ingest.settings import (
    ConfigError,
    DatabaseSettings,
    LogSettings,
    Part,
    Port,
    Problem,
    SecretFile,
    Settings,
    read_secret,
)

# Sealed with less, a secret is soon guessed. ``openssl rand -base64 32`` gives 44.
KEY_CHARS_MIN = 32
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class WebSettings(Part):
    """Where the pages are served, and how."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    # The cookie then travels over HTTPS only, and is called __Host-session. False is for a
    # demo on the machine's own address.
    cookie_secure: bool = True
    # Says on every page that people and values are invented.
    demo_banner: bool = False
    # Who stands before these pages and says whose request it is: a proxy's addresses. Tries to log
    # in are counted by address, so without this all of them count as the proxy's.
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    # How people and providers find these pages from outside: in messages and for receipts.
    public_url: WebAddress | None = None


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        problem = "must be an address such as https://login.example"
        raise ValueError(problem)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        problem = "must begin with https://"
        raise ValueError(problem)
    return text.rstrip("/")


def _key(path: Path) -> Path:
    if len(read_secret(path)) < KEY_CHARS_MIN:
        problem = f"the first line of {path} has less than {KEY_CHARS_MIN} characters"
        raise ValueError(problem)
    return path


# HTTPS, but on this machine itself; without a slash at the end.
Address = Annotated[str, AfterValidator(_origin)]
KeyFile = Annotated[SecretFile, AfterValidator(_key)]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class Local(StrEnum):
    """Whose passwords of this installation's own count."""

    OFF = "off"
    PATIENTS = "patients"  # and relatives
    ALL = "all"


class SecondFactor(StrEnum):
    """Whether a password needs a one-time code beside it."""

    REQUIRED = "required"
    OFFERED = "offered"  # only who has set one up is asked: for a demo


class ProviderSettings(Part):
    """The identity provider (OpenID Connect) that vouches for who somebody is.

    It must know ``{web.public_url}/login/oidc/svar`` as where browsers come back to.
    """

    issuer: Address
    client_id: Words
    client_secret_file: SecretFile
    # The levels of assurance, any of them, that count as strong for staff; see the provider's list.
    acr_values: Annotated[tuple[Words, ...], Field(min_length=1)]
    # The same for patients and relatives; none: those of staff.
    patient_acr_values: tuple[Words, ...] = ()
    scopes: tuple[Words, ...] = ("openid",)
    # Claims by which an account is known at its first login: a staff member's HSA-id, a patient's
    # personal number. None: accounts are linked by ``python -m alerts account link``.
    staff_claim: str = ""
    patient_claim: str = ""
    # On the button, after "Logga in med".
    label: Words = "e-legitimation"

    def accepted(self, *, is_staff: bool) -> tuple[str, ...]:
        """Return the levels of assurance that are enough."""
        return self.acr_values if is_staff else self.patient_acr_values or self.acr_values

    @property
    def asked(self) -> tuple[str, ...]:
        """All levels of assurance that are of use to somebody."""
        return tuple(dict.fromkeys((*self.acr_values, *self.patient_acr_values)))


class LoginSettings(Part):
    """Who may log in how. As it stands, nobody: local logins are not strong by themselves."""

    local: Local = Local.OFF
    second_factor: SecondFactor = SecondFactor.REQUIRED
    # Seals the secrets of one-time codes in the database. Lost, all must set up theirs anew.
    key_file: KeyFile | None = None
    provider: ProviderSettings | None = None

    @property
    def is_possible(self) -> bool:
        """Whether anybody can log in at all."""
        return self.local is not Local.OFF or self.provider is not None

    @model_validator(mode="after")
    def _codes_can_be_kept(self) -> Self:
        is_required = self.local is not Local.OFF and self.second_factor is SecondFactor.REQUIRED
        if is_required and self.key_file is None:
            problem = "key_file is missing: a password needs a one-time code beside it"
            raise ValueError(problem)
        return self


class EnrolmentSettings(Part):
    """Where the certificate authority lies, what boxes are told, and what the broker reads."""

    # ca.pem and ca.key: made once by ``python -m alerts ca init``. Back it up, show it nobody.
    authority_dir: Path
    # Where boxes in homes find the broker.
    broker_host: Annotated[str, Field(min_length=1, max_length=253)]
    broker_port: Port = 8883
    # What else the broker's certificate says it is called: by services, inside.
    broker_names: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = ()
    # The broker's certificate, key and revocation list.
    broker_dir: Path
    # Certificates of services, a directory each: ingest.
    services_dir: Path
    # Of a box; it renews after two thirds.
    certificate_days: Annotated[int, Field(ge=1, le=825)] = 90

    @property
    def names(self) -> tuple[str, ...]:
        """All that the broker's certificate says it is called."""
        return tuple(dict.fromkeys((self.broker_host, *self.broker_names)))


class Config(Settings):
    """Everything alerts is told."""

    model_config = SettingsConfigDict(env_prefix="EGENMONITOR_ALERTS__")

    database: DatabaseSettings
    web: WebSettings = WebSettings()
    login: LoginSettings = LoginSettings()
    # None: no gateway is enrolled here, as in the demo.
    enrolment: EnrolmentSettings | None = None
    # None: nobody is told by mail, or by SMS.
    mail: MailSettings | None = None
    sms: SmsSettings | None = None
    # None: who has no other way than a call is the nurse's to phone.
    voice: VoiceSettings | None = None
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _messages_lead_here(self) -> Self:
        if (self.mail or self.sms or self.voice) and self.web.public_url is None:
            # Not a ValueError: that would show what the whole configuration is.
            cure = "set it: messages of mail and sms lead there"
            raise ConfigError([Problem("web.public_url", "missing", cure)])
        return self
