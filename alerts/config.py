"""What alerts is told: database, web, enrolment of gateways."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ingest.settings import DatabaseSettings, LogSettings, Part, Port, Settings


class WebSettings(Part):
    """Where the pages are served, and how."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    # The cookie then travels over HTTPS only, and is called __Host-session. False is for a
    # demo on the machine's own address.
    cookie_secure: bool = True
    # Says on every page that people and values are invented.
    demo_banner: bool = False


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
    # None: no gateway is enrolled here, as in the demo.
    enrolment: EnrolmentSettings | None = None
    log: LogSettings = LogSettings()
