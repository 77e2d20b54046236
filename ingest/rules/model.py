"""Rules of a plan version as validated data."""
