with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        substr(students.school_number, 1, 3) as tenant_id,
        students.person_id as proprietary_id,
        students.student_number as local_id,
        students.school_number as primary_location,
        students.legal_last_name as last_name,
        students.legal_first_name as first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        students.usual_first_name as common_name,
        {{ date_text('students.date_of_birth') }} as birthdate,
        students.address as email,
        cast(null as {{ dbt.type_string() }}) as gender,
        students.account_name as username,
        coalesce(students.grade_code, '') as grade,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
)

select * from final
