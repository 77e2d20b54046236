-- What ingest's clock remembers, so that a new leader goes on where the last one stopped.

create table clock_turn (
    chore text primary key,
    done_at timestamptz not null,         -- of its last turn that did not fail
    revision bigint not null default -1,  -- 'due': of the registry; due rows are made from it
    next_patient_id bigint,               -- 'due': where a sweep over everybody stands; null: none
    resumed_at timestamptz                -- 'missing': when it began again after an absence
);

alter table rule_due
    add column kind text not null check (kind in ('rolling_mean', 'baseline', 'missing')),
    -- What it waits for: a measurement or an occasion; null: the rule was not looked at yet.
    add column expected_at timestamptz,
    add column held_since timestamptz;    -- 'missing': her gateway is silent since we would tell
drop index rule_due_by_time;
create index rule_due_by_time on rule_due (kind, due_at);

-- A version that begins later changes nothing when it is written: the clock looks for those that
-- have begun since.
create index plan_version_by_time on plan_version (in_force_from);
