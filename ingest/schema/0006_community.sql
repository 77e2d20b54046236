-- edition: timescaledb-community
-- All that only TimescaleDB Community can do, from version 2.18 on: old chunks compressed by column,
-- days kept by a continuous aggregate, retention as a job. What a query answers stays the same.

-- The rows of a weekend's outage, or of a scale that is read once a month, fall into chunks that
-- are still rows. Later ones are taken by compressed chunks too, at a higher price.
alter table sample set (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'patient_id, quantity_id',
    timescaledb.orderby = 'measured_at, reading_id'
);
call add_columnstore_policy('sample', after => interval '60 days');
-- A backlog of many patients unpacks many segments; refusing it would stop ingest. For sessions
-- that begin from now on.
do $$
begin
    execute format(
        'alter database %I set timescaledb.max_tuples_decompressed_per_dml_transaction = 0',
        current_database()
    );
end $$;

-- The aggregate is refreshed three years back. Older days, some of which may have lost readings to
-- retention already, are put into the table that ingest kept, and stay there.
drop trigger sample_day_marked on sample;
delete from sample_day_mark;
update sample_day_state set is_kept = false, live_from = greatest(gone_until, current_date - 1000);
delete from sample_day where day >= (select gone_until from sample_day_state);
insert into sample_day
select patient_id, quantity_id, (measured_at at time zone 'Europe/Stockholm')::date,
    count(*)::integer, min(value), avg(value), max(value), sum(value)
from sample, sample_day_state
where measured_at >= gone_until::timestamp at time zone 'Europe/Stockholm'
    and measured_at < live_from::timestamp at time zone 'Europe/Stockholm'
    and sample_counts(suspicion)
group by 1, 2, 3;

create materialized view sample_by_day
    with (timescaledb.continuous, timescaledb.materialized_only = false) as
select patient_id, quantity_id, time_bucket('1 day', measured_at, 'Europe/Stockholm') as begins_at,
    count(*)::integer as readings, min(value) as minimum, avg(value) as mean,
    max(value) as maximum, sum(value) as total
from sample
where suspicion & 1024 = 0 and (suspicion & 503 = 0 or suspicion & 512 <> 0)  -- sample_counts
group by 1, 2, 3
with no data;
-- Not so far back as anything is removed (retention.keep_days is 1,100 or more): a day whose
-- readings went must not be counted again.
select add_continuous_aggregate_policy(
    'sample_by_day',
    start_offset => interval '3 years',
    end_offset => interval '2 days',
    schedule_interval => interval '15 minutes'
);

create or replace view sample_daily as
select patient_id, quantity_id, day, readings, minimum, mean, maximum, total
from sample_day where day < sample_live_from()
union all
select patient_id, quantity_id, (begins_at at time zone 'Europe/Stockholm')::date, readings,
    minimum, mean, maximum, total
from sample_by_day
where begins_at >= sample_live_from()::timestamp at time zone 'Europe/Stockholm';

-- How long readings are kept stands in ingest's configuration, which its clock writes down here.
create procedure remove_old_readings_job(job_id integer, config jsonb) language plpgsql as $$
declare
    keep integer;
    most constant integer := 5000;
begin
    select keep_days into keep from retention_state;
    while keep is not null loop
        exit when remove_old_readings(now() - make_interval(days => keep), most) < most;
        commit;
    end loop;
end $$;
update retention_state set by_job = true;
select add_job('remove_old_readings_job', interval '1 day');
