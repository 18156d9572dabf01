with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.school_name as school,
        students.usual_last_name as last_name,
        students.usual_first_name as first_name,
        coalesce(students.grade_code, '') as grade,
        students.homeroom,
        students.student_number,
        students.student_number as barcode,
        cast(null as {{ dbt.type_string() }}) as date_of_birth,
        students.school_number,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
)

select * from final
