-- Gateways: where they stand, what is lent through them, what they are told and what they say.
-- Facts about homes are dated and never overwritten: the end of one is written, then the next begins.

-- The patients a gateway stands at. Their loans are its lending list.
create table gateway_home (
    gateway_id text not null references gateway,
    patient_id bigint not null references patient,
    from_at timestamptz not null,
    until_at timestamptz,
    primary key (gateway_id, patient_id, from_at),
    check (until_at is null or until_at >= from_at)
);
create unique index gateway_home_one_current
    on gateway_home (gateway_id, patient_id) where until_at is null;
create index gateway_home_of_patient on gateway_home (patient_id);

-- A device that is lent through a gateway, whoever is to use it: what a technician does. Whose its
-- readings are is said by device_loan alone.
create table gateway_device (
    gateway_id text not null references gateway,
    device_id text not null,
    model text not null default '',  -- a row of devices.models, or '' to let the gateway find it
    lent_from timestamptz not null default now(),
    returned_at timestamptz,
    primary key (device_id, lent_from),
    check (returned_at is null or returned_at >= lent_from)
);
create unique index gateway_device_one_current on gateway_device (device_id)
    where returned_at is null;
create index gateway_device_of_gateway on gateway_device (gateway_id);

-- The latest row counts; null leaves it as the box has it.
create table gateway_setting (
    gateway_id text not null references gateway,
    from_at timestamptz not null default now(),
    serves_others boolean,
    heartbeat_s double precision check (heartbeat_s between 1 and 300),
    idle_s double precision check (idle_s between 0.5 and 120),
    primary key (gateway_id, from_at)
);

-- A pairing that a technician asked for, and how it went; the passkey is of no use afterwards.
create table pairing_request (
    request_id text primary key check (request_id ~ '^[!-~]{1,64}$'),
    gateway_id text not null references gateway,
    device_id text,
    model text not null default '',
    asked_by bigint,
    asked_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    passkey integer check (passkey between 0 and 999999),
    passkey_at timestamptz,
    step text,  -- devices.wire.PairingStep; null: the gateway has not answered yet
    step_at timestamptz,
    problem text not null default '',
    ended_at timestamptz
);
create index pairing_request_of_gateway on pairing_request (gateway_id, asked_at desc);
create unique index pairing_request_one_open on pairing_request (gateway_id)
    where ended_at is null;

-- The last hundred configurations a gateway was given. A row is made when the content differs from
-- the last; those before the latest have no passkey.
create table gateway_config (
    gateway_id text not null references gateway,
    version bigint not null check (version > 0),
    made_at timestamptz not null default clock_timestamp(),
    content jsonb not null,
    primary key (gateway_id, version)
);

-- What each gateway said last. A last will changes its state only: it says nothing else.
create table gateway_status (
    gateway_id text primary key references gateway,
    received_at timestamptz,  -- of its own last word; null: never
    said_at timestamptz,      -- of the same, by its own clock
    state text not null,
    state_at timestamptz not null,
    version text not null default '',
    config_version bigint,
    config_refused text,
    inbox bigint not null default 0,
    outbox bigint not null default 0,
    oldest_at timestamptz,
    last_reading_at timestamptz,
    certificate_until timestamptz,
    battery_lowest smallint,
    body jsonb
);
create index gateway_status_by_word on gateway_status (received_at);

-- What changed: the last some hundred for each gateway.
create table gateway_event (
    event_id bigint generated always as identity primary key,
    gateway_id text not null references gateway,
    at timestamptz not null,
    kind text not null,
    detail jsonb not null default '{}'
);
create index gateway_event_of_gateway on gateway_event (gateway_id, event_id desc);

-- Who publishes configurations is woken by what they are made of, with the id of the gateway.
-- Polling makes it correct: a loan begins, and a pairing runs out, without anything being written.
create function notify_gateway_config() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'device_loan' then
        perform pg_notify('gateway_config', h.gateway_id)
        from gateway_home h
        where h.patient_id = coalesce(new.patient_id, old.patient_id) and h.until_at is null;
    else
        perform pg_notify('gateway_config', coalesce(new.gateway_id, old.gateway_id));
    end if;
    return null;
end $$;
create trigger gateway_home_told after insert or update or delete on gateway_home
    for each row execute function notify_gateway_config();
create trigger gateway_device_told after insert or update or delete on gateway_device
    for each row execute function notify_gateway_config();
create trigger gateway_setting_told after insert or update or delete on gateway_setting
    for each row execute function notify_gateway_config();
create trigger pairing_request_told after insert or update or delete on pairing_request
    for each row execute function notify_gateway_config();
create trigger device_loan_told after insert or update or delete on device_loan
    for each row execute function notify_gateway_config();
