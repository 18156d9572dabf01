with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.person_id,
        students.student_number as person_number,
        students.usual_first_name as first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        students.usual_last_name as last_name,
        students.grade as grade_level,
        students.address as email_address,
        students.account_name as sis_username,
        cast(null as {{ dbt.type_string() }}) as password_policy,
        students.school_number as location_id,
        students.source
    from students
    where
        students.has_account
)

select * from final
