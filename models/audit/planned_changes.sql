-- the ledger speaks of subjects and partitions: here they are people and schools

with planned_changes as (
    select * from {{ source('ledger_audit', 'planned_changes') }}
),

renamed as (
    select
        planned_changes.change_id,
        planned_changes.plan_id,
        planned_changes.run_id,
        planned_changes.planned_at,
        planned_changes.target,
        planned_changes.entity,
        planned_changes.key,
        planned_changes.subject as person_id,
        planned_changes.partition as school_number,
        planned_changes.action,
        planned_changes.remote_id,
        planned_changes.old,
        planned_changes.new,
        planned_changes.reason,
        planned_changes.hold,
        planned_changes.source,
        planned_changes.export_model,
        planned_changes.seq
    from planned_changes
)

select * from renamed
