-- A planned change says the family of its row, within which its subject may move; what was applied keeps it.
create schema if not exists ledger.applied;
create table if not exists ledger.applied.tables (target text, entity text, key json, partition text, shape text, subject text);
alter table ledger.applied.tables add column family text;
drop view ledger.audit.dead_letters;
drop view ledger.audit.changes;
alter table ledger.audit.planned_changes add column family text;
create view ledger.audit.changes as
    select
        planned.*,
        -- planned, and its run is over: somebody only looked, or the night was killed and a later one planned anew
        coalesce(outcome.status, case
            when planned.hold is not null then 'held' when run.run_id is not null then 'not pushed' else 'planned' end) as status,
        outcome.attempts, outcome.code, outcome.request_id, outcome.started_at, outcome.finished_at,
        outcome.reason as outcome_reason, outcome.note
    from ledger.audit.planned_changes as planned
    left join ledger.audit.outcomes as outcome using (change_id)
    left join (select distinct run_id from ledger.audit.runs) as run on run.run_id = planned.run_id;
create view ledger.audit.dead_letters as
    -- what was tried last and failed, per object: nothing of it is lost, the next night's plan takes it up again
    with tried as (
        select changes.*, row_number() over (partition by target, entity, key order by finished_at desc, seq desc) as latest,
            max(case when status = 'applied' then finished_at end) over (partition by target, entity, key) as last_applied_at
        from ledger.audit.changes as changes where status in ('applied', 'failed'))
    select target, entity, key, arg_max(subject, finished_at) as subject, arg_max(action, finished_at) as action,
        arg_max(code, finished_at) as code, arg_max(note, finished_at) as note, arg_max(run_id, finished_at) as run_id,
        min(finished_at) as failing_since, max(finished_at) as last_tried_at, count(distinct run_id) as runs
    from tried
    where status = 'failed' and (last_applied_at is null or finished_at > last_applied_at)
    group by target, entity, key;
