with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.school_number as school,
        students.student_number as student_id,
        students.usual_first_name as given_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        students.usual_last_name as surname,
        coalesce(students.grade_code, '') as grade,
        students.gender_code as gender,
        cast(null as {{ dbt.type_string() }}) as date_of_birth,
        students.homeroom as home_room,
        cast(null as {{ dbt.type_string() }}) as telephone,
        cast(null as {{ dbt.type_string() }}) as apartment,
        cast(null as {{ dbt.type_string() }}) as house,
        cast(null as {{ dbt.type_string() }}) as street,
        cast(null as {{ dbt.type_string() }}) as city,
        cast(null as {{ dbt.type_string() }}) as province,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        students.account_name as username,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
)

select * from final
