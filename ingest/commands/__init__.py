"""ingest's commands, one file each."""
