with lifecycle as (
    select * from {{ ref('lifecycle') }}
),

records as (
    select * from {{ ref('person_records') }}
),

final as (
    select
        lifecycle.person_id as subject,
        coalesce(records.school_number, '') as partition,
        case lifecycle.population when 'student' then 'student' else 'on staff' end as one_is_called,
        case lifecycle.population when 'student' then 'students' else 'on staff' end as many_are_called,
        lifecycle.state
    from lifecycle
    left join records
        on lifecycle.person_id = records.person_id
)

select * from final
