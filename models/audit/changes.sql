-- the ledger speaks of subjects and partitions: here they are people and schools

with changes as (
    select * from {{ source('ledger_audit', 'changes') }}
),

renamed as (
    select
        changes.change_id,
        changes.plan_id,
        changes.run_id,
        changes.planned_at,
        changes.target,
        changes.entity,
        changes.key,
        changes.subject as person_id,
        changes.partition as school_number,
        changes.action,
        changes.remote_id,
        changes.old,
        changes.new,
        changes.reason,
        changes.hold,
        changes.source,
        changes.export_model,
        changes.seq,
        changes.status,
        changes.attempts,
        changes.code,
        changes.request_id,
        changes.started_at,
        changes.finished_at,
        changes.note
    from changes
)

select * from renamed
