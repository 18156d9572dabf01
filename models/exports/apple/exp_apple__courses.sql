with courses as (
    select * from {{ ref('rostered_courses') }}
),

final as (
    select
        {{ regex_replace('courses.course_id', '[^A-Za-z0-9]+', '-') }} as course_id,
        courses.course_code as course_number,
        courses.title as course_name,
        courses.school_number as location_id
    from courses
)

select * from final
