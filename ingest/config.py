"""What ingest is told: database, broker, batch sizes."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from ingest.settings import DatabaseSettings, LogSettings, Part, Port, ReadableFile, Settings

# MQTT 5 allows 65,535 unacknowledged messages; 300 MiB of memory allow fewer: a message of
# 200 readings is 100 kB.
RECEIVE_MAX = 20_000
# COPY reaches its full speed at about 10,000 rows; ten times that only adds latency.
ROWS_MAX = 100_000
WAIT_MS_MAX = 10_000


class BrokerSettings(Part):
    """Where the broker is, and who we are there."""

    host: Annotated[str, Field(min_length=1)]
    port: Port = 1883
    username: str | None = None
    password_file: ReadableFile | None = None
    ca_file: ReadableFile | None = None
    cert_file: ReadableFile | None = None
    key_file: ReadableFile | None = None
    # The session's name at the broker; two workers must not share one.
    client_id: Annotated[str, Field(min_length=1, max_length=64)] = "egenmonitor-ingest"
    # Workers that name the same group share the readings; "" is a plain subscription.
    shared_group: Annotated[str, Field(max_length=64)] = ""

    @field_validator("shared_group")
    @classmethod
    def _is_one_level(cls, value: str) -> str:
        if set(value) & set("/+#\0"):
            problem = "a group's name holds none of / + #"
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            problem = "cert_file and key_file belong together; give both or neither"
            raise ValueError(problem)
        if self.cert_file and not self.ca_file:
            problem = "cert_file without ca_file would go to an unchecked broker; give ca_file"
            raise ValueError(problem)
        return self


class BatchSettings(Part):
    """When a batch is full. Receive Maximum is the back-pressure on the broker."""

    rows_max: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 10_000  # readings
    wait_ms: Annotated[int, Field(ge=1, le=WAIT_MS_MAX)] = 20
    receive_max: Annotated[int, Field(ge=1, le=RECEIVE_MAX)] = 1_000  # unacknowledged messages


class Config(Settings):
    """Everything ingest is told."""

    model_config = SettingsConfigDict(env_prefix="EGENMONITOR_INGEST__")

    database: DatabaseSettings
    broker: BrokerSettings
    batch: BatchSettings = BatchSettings()
    log: LogSettings = LogSettings()


DEFAULT_FILE = Path("ingest.toml")
