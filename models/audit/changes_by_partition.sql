-- changes of no school are the district's own

with changes as (
    select * from {{ ref('changes') }}
),

schools as (
    select * from {{ ref('schools') }}
),

final as (
    select
        changes.run_id,
        coalesce(changes.school_number, '') as partition,
        case
            when schools.school_name is not null then schools.school_name
            when coalesce(changes.school_number, '') = '' then 'District'
            else ''
        end as name,
        changes.action,
        changes.status,
        count(*) as changes
    from changes
    left join schools
        on changes.school_number = schools.school_number
    group by
        changes.run_id,
        changes.school_number,
        schools.school_name,
        changes.action,
        changes.status
)

select * from final
