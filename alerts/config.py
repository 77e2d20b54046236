"""What alerts is told: database and web."""

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


class Config(Settings):
    """Everything alerts is told."""

    model_config = SettingsConfigDict(env_prefix="EGENMONITOR_ALERTS__")

    database: DatabaseSettings
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
