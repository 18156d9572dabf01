-- Everything the ledger keeps but what people did to the nights; and which changes it has been through, in order: a program
-- that knows fewer refuses it.
create schema if not exists ledger.audit;
create schema if not exists ledger.identity;
create schema if not exists ledger.applied;

create table if not exists ledger.audit.versions (
    version integer not null primary key, name text not null, applied_at timestamptz not null, program text not null);
create table if not exists ledger.audit.runs (
    run_id text, started_at timestamptz, finished_at timestamptz, as_of date, status text, exit_code integer,
    git_commit text, version text, steps json);
create table if not exists ledger.audit.plans (
    plan_id text, run_id text, made_at timestamptz, digest text, target text, entity text, desired bigint,
    observed bigint, planned json, held json, allowed json);
create table if not exists ledger.audit.planned_changes (
    change_id text, plan_id text, run_id text, planned_at timestamptz, target text, entity text, key text,
    person_id text, school_number text, action text, remote_id text, old json, new json, reason text, hold text,
    source text, export_model text, seq bigint);
create table if not exists ledger.audit.outcomes (
    change_id text, run_id text, target text, status text, attempts integer, code integer, remote_id text,
    request_id text, started_at timestamptz, finished_at timestamptz, note text);
create table if not exists ledger.audit.deliveries (
    delivery_id text, run_id text, target text, file text, rows bigint, bytes bigint, sha256 text,
    delivered_at timestamptz, receipt text);
create table if not exists ledger.audit.drifts (
    plan_id text, run_id text, found_at timestamptz, target text, entity text, key text, person_id text,
    school_number text, column_name text, ours json, theirs json, policy text);
create table if not exists ledger.audit.releases (
    release_id text, released_at timestamptz, who text, why text, plan_id text, change_id text, target text,
    entity text, key text, action text, seal text);
create table if not exists ledger.audit.findings (
    finding_id text, run_id text, found_at timestamptz, level text, kind text, source text, feed text, target text,
    entity text, school_number text, key text, file text, line bigint, column_name text, message text, owner text,
    action text);
create table if not exists ledger.audit.source_files (
    run_id text, source text, feed text, file text, sha256 text, bytes bigint, modified_at timestamptz,
    read_at timestamptz, encoding text, rows_in bigint, landed bigint, rejected bigint, status text, message text,
    archived_as text, as_of date, age_days integer, hold text, held_schools json, schools json, content_on date,
    accepted boolean, doubt_since timestamptz, rejected_keys json);
create table if not exists ledger.identity.accounts (
    person_id text not null, account_name text not null primary key, domain text not null, base_name text not null,
    number integer not null, policy text not null, minted_on date not null, name_number integer not null,
    named_from text, alias_days integer, unique (person_id, name_number));
create table if not exists ledger.identity.lifecycle_events (
    person_id text not null, event_number integer not null, state text not null, reason text not null,
    since date not null, recorded_on date not null, run_id text, record text, rule text, primary key (person_id, event_number));
create or replace view ledger.audit.changes as
    select
        planned.*,
        -- planned, and its run is over: somebody only looked, or the night was killed and a later one planned anew
        coalesce(outcome.status, case
            when planned.hold is not null then 'held' when run.run_id is not null then 'not pushed' else 'planned' end) as status,
        outcome.attempts, outcome.code, outcome.request_id, outcome.started_at, outcome.finished_at, outcome.note
    from ledger.audit.planned_changes as planned
    left join ledger.audit.outcomes as outcome using (change_id)
    left join (select distinct run_id from ledger.audit.runs) as run on run.run_id = planned.run_id;
create or replace view ledger.audit.dead_letters as
    -- what was tried last and failed, per object: nothing of it is lost, the next night's plan takes it up again
    with tried as (
        select changes.*, row_number() over (partition by target, entity, key order by finished_at desc, seq desc) as latest,
            max(case when status = 'applied' then finished_at end) over (partition by target, entity, key) as last_applied_at
        from ledger.audit.changes as changes where status in ('applied', 'failed'))
    select target, entity, key, arg_max(person_id, finished_at) as person_id, arg_max(action, finished_at) as action,
        arg_max(code, finished_at) as code, arg_max(note, finished_at) as note, arg_max(run_id, finished_at) as run_id,
        min(finished_at) as failing_since, max(finished_at) as last_tried_at, count(distinct run_id) as runs
    from tried
    where status = 'failed' and (last_applied_at is null or finished_at > last_applied_at)
    group by target, entity, key;
