-- edition: timescaledb
-- Chunks of 30 days from now on (docs/decisions/0015): a patient's year is 13 of them instead of 53.
-- Chunks that are there keep their length.
select set_chunk_time_interval('sample', interval '30 days');
