-- the ledger speaks of subjects and partitions: here they are people and schools

with planned_changes as (
    select * from {{ source('ledger_audit', 'planned_changes') }}
),

catalogue as (
    select * from {{ ref('problems') }}
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
        {{ stored_reason('planned_changes.reason', 'code') }} as reason_code,
        {{ rendered('reasons.sentence', stored_reason('planned_changes.reason', 'values')) }} as reason,
        {{ stored_reason('planned_changes.hold', 'code') }} as hold_code,
        {{ problem_sentence('holds', 'around', stored_reason('planned_changes.hold', 'values')) }} as hold,
        planned_changes.source,
        planned_changes.export_model,
        planned_changes.seq
    from planned_changes
    left join catalogue as reasons
        on {{ stored_reason('planned_changes.reason', 'code') }} = reasons.code
    left join catalogue as holds
        on {{ stored_reason('planned_changes.hold', 'code') }} = holds.code
    left join catalogue as around
        on {{ code_around(stored_reason('planned_changes.hold', 'values')) }} = around.code
)

select * from renamed
