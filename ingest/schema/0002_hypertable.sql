-- edition: timescaledb
-- Samples in chunks of a week: late readings of a weekend's outage fall into the newest two
-- chunks, and a year is 52 of them. May run long after the first sample: migrate_data moves
-- what is there. No index on measured_at alone: every query names the patient, and the
-- index would cost two fifths of the insert rate.
create extension if not exists timescaledb;
select create_hypertable(
    'sample',
    by_range('measured_at', interval '7 days'),
    create_default_indexes => false,
    migrate_data => true
);
