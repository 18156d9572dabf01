with courses as (
    select * from {{ ref('stg_myedbc__courses') }}
),

final as (
    select
        courses.school_number,
        courses.course_code,
        courses.title,
        upper(courses.grade_level) as grade_text,
        courses.department,
        courses.source_file,
        courses.source_line
    from courses
    where courses.school_number is not null and courses.course_code is not null
)

select * from final
