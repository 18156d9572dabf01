with courses as (
    select * from {{ ref('stg_myedbc__courses') }}
),

grades as (
    select * from {{ ref('grades') }}
),

known_courses as (
    select * from courses where school_number is not null and course_code is not null
),

one_per_course as (
    {{ first_row_per('known_courses', 'school_number, course_code', 'source_line') }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_course.school_number,
        one_per_course.course_code,
        one_per_course.title,
        grades.grade_code as grade_level,
        one_per_course.department,
        one_per_course.source_file,
        one_per_course.source_line
    from one_per_course
    left join grades on upper(one_per_course.grade_level) = grades.grade_text
)

select * from final
