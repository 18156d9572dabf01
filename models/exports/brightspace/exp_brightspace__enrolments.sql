with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        'enrollment' as type,
        -- what happened to a row is said when the file is written
        cast(null as {{ dbt.type_string() }}) as action,
        members.person_id as child_code,
        case members.role when 'student' then 'Student' else 'Instructor' end as role_name,
        members.class_id as parent_code,
        members.school_number,
        members.person_id,
        members.source
    from members
)

select * from final
