"""Ingest watches itself: what it counts, whether it lives and is of use, and who is told."""
