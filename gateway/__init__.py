"""The box in the home: Bluetooth sessions → durable inbox → outbox → MQTT."""
