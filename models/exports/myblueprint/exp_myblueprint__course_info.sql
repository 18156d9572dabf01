with courses as (
    select * from {{ ref('rostered_courses') }}
),

final as (
    select
        courses.course_code,
        cast(null as {{ dbt.type_string() }}) as alternate_course_code,
        courses.school_number as school_id,
        courses.title as course_name,
        cast(null as {{ dbt.type_string() }}) as course_description,
        cast(null as {{ dbt.type_string() }}) as discipline,
        cast(null as {{ dbt.type_string() }}) as department,
        cast(null as {{ dbt.type_string() }}) as type,
        courses.grade,
        cast(null as {{ dbt.type_string() }}) as max_grade,
        cast(null as {{ dbt.type_string() }}) as credit_value,
        courses.course_id as integration_id,
        left(courses.year_id, 4) as year_offered
    from courses
    where
        -- a homeroom is no course one plans to take
        not courses.is_homeroom
)

select * from final
