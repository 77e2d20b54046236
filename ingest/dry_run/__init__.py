"""Dry run: how many alerts proposed rules would have made of what was measured already."""

from ingest.dry_run.report import Alert, DryRun
from ingest.dry_run.run import dry_run

__all__ = ["Alert", "DryRun", "dry_run"]
