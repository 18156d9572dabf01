with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.school_number as site_short_name,
        students.student_number as barcode,
        students.student_number as district_id,
        students.usual_last_name as last_name,
        students.usual_first_name as first_name,
        'Student' as patron_type,
        'A' as status,
        case when students.gender_code in ('M', 'F') then students.gender_code else 'U' end as gender,
        students.homeroom,
        coalesce(students.grade_code, '') as grade,
        cast(students.graduation_year as {{ dbt.type_string() }}) as graduation_year,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
)

select * from final
