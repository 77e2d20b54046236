"""Numbered SQL of ingest's tables, and the runner that applies it (and alerts' after it)."""
