with places as (
    select * from {{ ref('rostered_places') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

academic_sessions as (
    select * from {{ ref('academic_sessions') }}
),

final as (
    select
        places.person_id as user_sourced_id,
        places.school_number as org_sourced_id,
        places.role,
        cast(null as {{ dbt.type_string() }}) as session_sourced_id,
        students.grade,
        case when places.is_primary then 'TRUE' else 'FALSE' end as is_primary,
        cast(null as {{ dbt.type_string() }}) as role_start_date,
        cast(null as {{ dbt.type_string() }}) as role_end_date,
        places.person_id,
        places.source
    from places
    left join students on places.person_id = students.person_id
)

select * from final
