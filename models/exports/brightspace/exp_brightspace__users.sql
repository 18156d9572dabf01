with people as (
    select * from {{ ref('rostered_people') }}
),

final as (
    select
        'user' as type,
        'UPDATE' as action,
        people.address as username,
        people.person_id as org_defined_id,
        people.first_name,
        people.last_name,
        cast(null as {{ dbt.type_string() }}) as password,
        '1' as is_active,
        case people.role when 'student' then 'Student' else 'Instructor' end as role_name,
        people.address as email,
        cast(null as {{ dbt.type_string() }}) as relationships,
        cast(null as {{ dbt.type_string() }}) as pref_first_name,
        cast(null as {{ dbt.type_string() }}) as pref_last_name,
        cast(null as {{ dbt.type_string() }}) as sort_last_name,
        cast(null as {{ dbt.type_string() }}) as pronouns,
        people.school_number,
        people.person_id,
        people.source
    from people
)

select * from final
