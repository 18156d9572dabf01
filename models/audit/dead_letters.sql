-- the ledger speaks of subjects and partitions: here they are people and schools

with dead_letters as (
    select * from {{ source('ledger_audit', 'dead_letters') }}
),

renamed as (
    select
        dead_letters.target,
        dead_letters.entity,
        dead_letters.key,
        dead_letters.subject as person_id,
        dead_letters.action,
        dead_letters.code,
        dead_letters.note,
        dead_letters.run_id,
        dead_letters.failing_since,
        dead_letters.last_tried_at,
        dead_letters.runs
    from dead_letters
)

select * from renamed
