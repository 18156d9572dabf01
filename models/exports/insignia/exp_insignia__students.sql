with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.school_number as building_id,
        students.usual_last_name as last_name,
        students.usual_first_name as first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        students.student_number as student_id,
        coalesce(students.grade_code, '') as grade,
        students.gender_code as gender,
        students.homeroom,
        students.address as email,
        cast(null as {{ dbt.type_string() }}) as address,
        cast(null as {{ dbt.type_string() }}) as address_2,
        cast(null as {{ dbt.type_string() }}) as city,
        cast(null as {{ dbt.type_string() }}) as province,
        cast(null as {{ dbt.type_string() }}) as country,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
)

select * from final
