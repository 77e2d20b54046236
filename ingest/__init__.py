"""The ingest service: MQTT → columns → plausibility → rules → PostgreSQL or TimescaleDB."""
