with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.student_number as id_number,
        students.usual_last_name as last_name,
        students.usual_first_name as first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        coalesce(students.grade_code, '') as grade,
        students.school_name as current_school,
        students.school_number as current_school_code,
        students.street_number,
        students.street_name,
        students.apartment,
        students.municipality as city,
        students.postal_code,
        students.person_id,
        students.source
    from students
    where
        students.is_enrolled
        -- who has no civic address is left out: the vendor cannot place them on a map
        and students.street_name is not null
        and students.street_number is not null
)

select * from final
