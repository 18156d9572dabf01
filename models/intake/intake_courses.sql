with courses as (
    {{ records_by_precedence('courses') }}
),

grades as (
    select * from {{ ref('grades') }}
),

one_per_course as (
    {{ deduplicate('courses', 'school_number, course_code', 'precedence, source_line') }}
),

final as (
    select
        {{ all_but('one_per_course', ['precedence', 'grade_text']) }},
        grades.grade_code as grade_level
    from one_per_course
    left join grades on one_per_course.grade_text = grades.grade_text
)

select * from final
