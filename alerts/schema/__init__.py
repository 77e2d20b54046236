"""Numbered SQL of alerts' tables; applied after ingest's, which they refer to."""

from pathlib import Path

from ingest.schema.migrate import INGEST, Source

ALERTS = Source("alerts", Path(__file__).parent)
SOURCES = (INGEST, ALERTS)
