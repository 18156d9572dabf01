with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.school_number as school_id,
        students.person_id as student_id,
        students.student_number,
        students.usual_last_name as last_name,
        students.usual_first_name as first_name,
        case
            when students.grade = 'KG' then 'Kindergarten'
            when students.grade = 'PR' then 'Preschool'
            when students.grade = 'UG' then 'Ungraded'
            else ltrim(students.grade, '0')
        end as grade,
        cast(students.graduation_year as {{ dbt.type_string() }}) as graduation_year,
        students.address as student_email,
        students.address as username,
        students.person_id,
        students.source
    from students
    where
        students.has_account
)

select * from final
