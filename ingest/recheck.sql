-- Was anything missed? An independent look at what was stored, or judged anew, in a period.
--
-- Law of this file: it knows the tables and docs/rules.md, and nothing of the code that judges. A
-- sample is held against the limits of the plan version in force when it was measured, among those
-- that were known when it was judged (revision). Numbers are written out for that reason:
-- of the bits of suspicion, 8 doubts the clock, 512 is confirmed, 1024 replaced or rejected; the
-- other bits of 511 (503) doubt the value. A value at or beyond a high bound, or below a low one,
-- breaches; red goes before yellow.
--
-- Each reading is followed by keys: to its plan, its pauses, its samples, its breaches. "offset 0"
-- keeps the planner from doing so for all at once, by reading tables that hold ten years, or one row
-- against every other where it expects few: after a COPY there are no statistics yet.
--
-- Parameters: run_id, from_at, until_at; low and high, between which the readings were measured;
-- grace, after which a wait that nobody decided is a difference.
with chosen as (
    select reading_id, patient_id, measured_at, stored_at as at, revision from reading
    where stored_at >= %(from_at)s and stored_at < %(until_at)s
    union all
    select r.* from (
        select distinct reading_id from reading_review where at >= %(from_at)s and at < %(until_at)s
    ) v
    cross join lateral (
        select reading_id, patient_id, measured_at, stored_at, revision from reading
        where reading_id = v.reading_id
            and not (stored_at >= %(from_at)s and stored_at < %(until_at)s)
        offset 0
    ) r
),
judged as materialized (
    select c.*,
        (
            select plan_version_id from plan_version v
            where v.patient_id = c.patient_id and v.in_force_from <= c.measured_at
                and v.revision <= c.revision
            order by v.in_force_from desc limit 1
        ) as plan_version_id,
        exists (
            select from patient_pause p
            where p.patient_id = c.patient_id and p.revision <= c.revision
                and p.from_at <= c.measured_at and c.measured_at < p.until_at
        ) or exists (
            select from patient_pause_was p
            where p.patient_id = c.patient_id
                and p.revision <= c.revision and c.revision < p.until_revision
                and p.from_at <= c.measured_at and c.measured_at < p.until_at
        ) as is_silent
    from chosen c
    where not exists (select from rejudge j where j.reading_id = c.reading_id)
        -- One that was committed since low and high were asked for is the next run's.
        and c.measured_at >= %(low)s and c.measured_at <= %(high)s
),
held as (
    select j.*, s.quantity_id, s.value, s.suspicion, l.yellow_low, l.yellow_high, l.red_low,
        l.red_high,
        -- What was replaced after it was judged keeps its breach, and needs none.
        s.suspicion & 1024 = 0 as is_due,
        case
            when j.is_silent then 0
            when s.suspicion & 503 <> 0 and s.suspicion & 512 = 0 then 0
            when s.value >= l.red_high or s.value < l.red_low then 2
            when s.value >= l.yellow_high or s.value < l.yellow_low then 1
            else 0
        end as level
    from judged j
    cross join lateral (
        select quantity_id, value, suspicion from sample
        where patient_id = j.patient_id and measured_at = j.measured_at
            and reading_id = j.reading_id
            -- Nothing but a key for the index: patient, quantity, time.
            and quantity_id = any (array(select quantity_id from quantity))
            and measured_at >= %(low)s and measured_at <= %(high)s
        offset 0
    ) s
    left join lateral (
        select yellow_low, yellow_high, red_low, red_high from plan_limit
        where plan_version_id = j.plan_version_id and quantity_id = s.quantity_id
        offset 0
    ) l on true
),
expected as (
    select h.*,
        case
            when level = 2 and value >= red_high then 'high'
            when level = 2 then 'low'
            when level = 1 and value >= yellow_high then 'high'
            when level = 1 then 'low'
        end as side,
        case
            when level = 2 and value >= red_high then red_high
            when level = 2 then red_low
            when level = 1 and value >= yellow_high then yellow_high
            when level = 1 then yellow_low
        end as bound
    from held h
),
difference as (
    select
        case when b.breach_id is null then 'missed' when e.level = 0 then 'invented'
            else 'differs' end as kind,
        e.reading_id || '/' || e.quantity_id as key,
        e.at, e.patient_id, e.reading_id, e.quantity_id,
        case when e.level > 0 then jsonb_build_object('level', e.level, 'side', e.side,
            'value', e.value, 'bound', e.bound, 'plan_version_id', e.plan_version_id,
            'measured_at', e.measured_at) end as expected,
        case when b.breach_id is not null then jsonb_build_object('level', b.level, 'side', b.side,
            'value', b.value, 'bound', b.bound, 'plan_version_id', b.plan_version_id,
            'measured_at', b.measured_at, 'breach_id', b.breach_id) end as found
    from expected e
    left join lateral (
        select breach_id, patient_id, measured_at, level, side, value, bound, plan_version_id
        from breach
        where reading_id = e.reading_id and quantity_id = e.quantity_id and rule_key = ''
        offset 0
    ) b on true
    where case
        when b.breach_id is null then e.level > 0 and e.is_due
        when e.level = 0 then true
        else (b.level, b.side, b.value, b.bound, b.plan_version_id, b.measured_at, b.patient_id)
            is distinct from
            (e.level, e.side, e.value, e.bound, e.plan_version_id, e.measured_at, e.patient_id)
    end
    union all
    -- A breach of a reading, or of a value of a reading, that nobody stored.
    select 'invented', b.reading_id || '/' || b.quantity_id, b.found_at, b.patient_id,
        b.reading_id, b.quantity_id, null,
        jsonb_build_object('level', b.level, 'value', b.value, 'breach_id', b.breach_id)
    from breach b
    left join lateral (
        select true as is_stored from reading where reading_id = b.reading_id offset 0
    ) r on true
    where b.rule_key = '' and b.found_at >= %(from_at)s and b.found_at < %(until_at)s
        and r.is_stored is null
    union all
    select 'invented', b.reading_id || '/' || b.quantity_id, j.at, b.patient_id,
        b.reading_id, b.quantity_id, null,
        jsonb_build_object('level', b.level, 'value', b.value, 'breach_id', b.breach_id)
    from judged j
    cross join lateral (
        select breach_id, patient_id, reading_id, quantity_id, level, value from breach
        where reading_id = j.reading_id and rule_key = ''
        offset 0
    ) b
    left join lateral (
        select true as is_stored from sample
        where patient_id = j.patient_id and quantity_id = b.quantity_id
            and measured_at = j.measured_at and reading_id = j.reading_id
            and measured_at >= %(low)s and measured_at <= %(high)s
        offset 0
    ) s on true
    where s.is_stored is null
    union all
    -- Whoever breaks a rule has an alert, but for what waits for a repeat or was calmed by it.
    select 'unalerted', 'breach ' || b.breach_id, b.found_at, b.patient_id, b.reading_id,
        b.quantity_id, null, jsonb_build_object('level', b.level, 'rule_key', b.rule_key,
            'breach_id', b.breach_id)
    from breach b
    where b.found_at >= %(from_at)s and b.found_at < %(until_at)s
        and b.level > 0 and b.alert_id is null
        and not exists (
            select from repeat_wait w
            where w.reading_id = b.reading_id and (w.decided_at is null or w.outcome = 'calmed')
            offset 0
        )
        and not exists (
            select from repeat_wait w
            where w.repeat_reading_id = b.reading_id
                and (w.decided_at is null or w.outcome = 'calmed')
            offset 0
        )
    union all
    select 'overdue', 'wait ' || w.reading_id || ' ' || w.rule_key, w.due_at, w.patient_id,
        w.reading_id, null, null, jsonb_build_object('rule_key', w.rule_key, 'due_at', w.due_at)
    from repeat_wait w
    where w.decided_at is null and w.due_at < clock_timestamp() - %(grace)s::interval
),
found as (select distinct on (kind, key) * from difference order by kind, key),
kept as (
    insert into recheck_difference (run_id, kind, key, at, patient_id, reading_id, quantity_id,
        expected, found)
    select %(run_id)s, f.* from (
        select kind, key, at, patient_id, reading_id, quantity_id, expected, found from found
    ) f
    on conflict (kind, key) where cleared_by is null do update set
        (expected, found) = (excluded.expected, excluded.found)
),
cleared as (
    update recheck_difference d set cleared_by = %(run_id)s
    where d.cleared_by is null
        and (d.kind = 'overdue' or d.at >= %(from_at)s and d.at < %(until_at)s)
        and not exists (select from found f where (f.kind, f.key) = (d.kind, d.key))
)
select count(*) from found
