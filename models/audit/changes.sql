-- the ledger speaks of subjects and partitions: here they are people and schools

with changes as (
    select * from {{ source('ledger_audit', 'changes') }}
),

catalogue as (
    select * from {{ ref('problems') }}
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
        {{ stored_reason('changes.reason', 'code') }} as reason_code,
        {{ rendered('reasons.sentence', stored_reason('changes.reason', 'values')) }} as reason,
        {{ stored_reason('changes.hold', 'code') }} as hold_code,
        {{ problem_sentence('holds', 'around', stored_reason('changes.hold', 'values')) }} as hold,
        changes.source,
        changes.export_model,
        changes.seq,
        changes.status,
        changes.attempts,
        changes.code,
        changes.request_id,
        changes.started_at,
        changes.finished_at,
        changes.outcome_reason,
        changes.note
    from changes
    left join catalogue as reasons
        on {{ stored_reason('changes.reason', 'code') }} = reasons.code
    left join catalogue as holds
        on {{ stored_reason('changes.hold', 'code') }} = holds.code
    left join catalogue as around
        on {{ code_around(stored_reason('changes.hold', 'values')) }} = around.code
)

select * from renamed
