"""An MQTT 5 client of ours, with what every connection needs: who we are, and TLS."""

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.config import ConnectionSettings
from ingest.settings import read_secret

RECONNECT_S_MIN = 1
RECONNECT_S_MAX = 10


def new_client(settings: ConnectionSettings, client_id: str, *, manual_ack: bool) -> paho.Client:
    """Return a client that is not connected yet, and that will reconnect for ever."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=paho.MQTTv5,
        manual_ack=manual_ack,
    )
    client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
    if settings.username is not None:
        password = read_secret(settings.password_file) if settings.password_file else None
        client.username_pw_set(settings.username, password)
    if settings.ca_file is not None:
        client.tls_set(
            str(settings.ca_file),
            str(settings.cert_file) if settings.cert_file else None,
            str(settings.key_file) if settings.key_file else None,
        )
    return client
