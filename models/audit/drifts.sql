-- the ledger speaks of subjects and partitions: here they are people and schools

with drifts as (
    select * from {{ source('ledger_audit', 'drifts') }}
),

renamed as (
    select
        drifts.plan_id,
        drifts.run_id,
        drifts.found_at,
        drifts.target,
        drifts.entity,
        drifts.key,
        drifts.subject as person_id,
        drifts.partition as school_number,
        drifts.column_name,
        drifts.ours,
        drifts.theirs,
        drifts.policy
    from drifts
)

select * from renamed
