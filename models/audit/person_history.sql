with changes as (
    select * from {{ ref('changes') }}
),

runs as (
    select * from {{ source('ledger_audit', 'runs') }}
),

persons as (
    select * from {{ ref('persons') }}
),

final as (
    select
        -- ids
        changes.change_id,
        changes.person_id,
        persons.population,
        persons.source_key,
        changes.school_number,

        -- what
        changes.target,
        changes.entity,
        changes.action,
        changes.old,
        changes.new,
        changes.status,

        -- why
        changes.reason,
        changes.hold,
        changes.export_model,
        changes.source,
        runs.git_commit,

        -- when
        runs.as_of,
        changes.planned_at,
        changes.finished_at,

        -- how
        changes.run_id,
        changes.remote_id,
        changes.request_id,
        changes.attempts,
        changes.code,
        changes.note
    from changes
    left join persons
        on changes.person_id = persons.person_id
    left join runs
        on changes.run_id = runs.run_id
    where changes.person_id is not null
)

select * from final
