"""What ingest is told: database, broker, batch sizes, and how it watches itself."""

import socket
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from ingest.settings import (
    DatabaseSettings,
    LogSettings,
    Part,
    Port,
    ReadableFile,
    SecretFile,
    Settings,
)

# MQTT 5 allows 65,535 unacknowledged messages; 300 MiB of memory allow fewer: a message of
# 200 readings is 100 kB.
RECEIVE_MAX = 20_000
# COPY reaches its full speed at about 10,000 rows; ten times that only adds latency.
ROWS_MAX = 100_000
WAIT_MS_MAX = 10_000
# The daily figures are refreshed three years back, and must not refresh what was removed.
KEEP_DAYS_MIN = 1_100


CLIENT_ID_CHARACTERS_MAX = 64


def _named(client_id: str) -> str:
    name = client_id.replace("{hostname}", socket.gethostname())
    if "{" in name or "}" in name:
        problem = "only {hostname} may stand in braces"
        raise ValueError(problem)
    return name[:CLIENT_ID_CHARACTERS_MAX]


class ConnectionSettings(Part):
    """Where a broker is, and by what it knows us."""

    host: Annotated[str, Field(min_length=1)]
    port: Port = 1883
    username: str | None = None
    password_file: SecretFile | None = None
    ca_file: ReadableFile | None = None
    cert_file: ReadableFile | None = None
    key_file: ReadableFile | None = None

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            problem = "cert_file and key_file belong together; give both or neither"
            raise ValueError(problem)
        if self.cert_file and not self.ca_file:
            problem = "cert_file without ca_file would go to an unchecked broker; give ca_file"
            raise ValueError(problem)
        return self


class BrokerSettings(ConnectionSettings):
    """The broker that readings come from, and what we are called there."""

    # The session's name at the broker: one for each worker, and the same after a restart, for the
    # broker keeps what came meanwhile under it. {hostname} stands for the machine's name.
    client_id: Annotated[
        str,
        Field(min_length=1, max_length=CLIENT_ID_CHARACTERS_MAX, validate_default=True),
        AfterValidator(_named),
    ] = "egenmonitor-ingest-{hostname}"
    # Workers that name the same group share the readings; "" is a plain subscription.
    shared_group: Annotated[str, Field(max_length=64)] = ""

    @field_validator("shared_group")
    @classmethod
    def _is_one_level(cls, value: str) -> str:
        if set(value) & set("/+#\0"):
            problem = "a group's name holds none of / + #"
            raise ValueError(problem)
        return value


class BatchSettings(Part):
    """When a batch is full. Receive Maximum is the back-pressure on the broker."""

    rows_max: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 10_000  # readings
    wait_ms: Annotated[int, Field(ge=1, le=WAIT_MS_MAX)] = 20
    # Unacknowledged messages, and so the most readings of a batch when each has its own message.
    receive_max: Annotated[int, Field(ge=1, le=RECEIVE_MAX)] = 5_000


class ClockSettings(Part):
    """What is due by time: missing measurements, means, retention. One worker leads."""

    enabled: bool = True


class RetentionSettings(Part):
    """How long readings stay. What a breach rests on stays whatever is said here."""

    # Ten years. A dry run looks back 90 days, a baseline 28.
    keep_days: Annotated[int, Field(ge=KEEP_DAYS_MIN)] = 3653


class WatchSettings(Part):
    """Where /metrics, /livez and /readyz are served; without a port nowhere."""

    # They name no person, but what is not for everybody: let Prometheus in, nobody else.
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port | None = None


class CanarySettings(Part):
    """A made-up patient whose reading goes the whole way every few minutes."""

    # As whom she speaks to the broker: a gateway of her own, registered by `canary set-up`.
    gateway_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    # The gateways' listener; without it, ``broker`` and its identity.
    broker: ConnectionSettings | None = None
    every_s: Annotated[float, Field(ge=60, le=3600)] = 300.0
    # No receipt, row, breach or alert by then: an incident.
    beat_s_max: Annotated[float, Field(gt=0, le=600)] = 60.0


class Config(Settings):
    """Everything ingest is told."""

    model_config = SettingsConfigDict(env_prefix="EGENMONITOR_INGEST__")

    database: DatabaseSettings
    broker: BrokerSettings
    batch: BatchSettings = BatchSettings()
    clock: ClockSettings = ClockSettings()
    retention: RetentionSettings = RetentionSettings()
    watch: WatchSettings = WatchSettings()
    canary: CanarySettings | None = None
    log: LogSettings = LogSettings()
