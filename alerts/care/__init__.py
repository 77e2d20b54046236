"""The care record: units, staff, patients, their contacts, loans and plans."""
