with courses as (
    select * from {{ ref('intake_courses') }}
),

pseudo_courses as (
    select * from {{ ref('pseudo_courses') }}
),

final as (
    select
        courses.school_number || '_' || courses.course_code as course_id,
        courses.school_number,
        courses.course_code,
        courses.title,
        courses.grade_level,
        courses.department
    from courses
    left join pseudo_courses on upper(courses.course_code) = upper(pseudo_courses.course_code)
    where pseudo_courses.course_code is null
)

select * from final
