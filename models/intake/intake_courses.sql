with courses as (
    select * from {{ ref('stg_myedbc__courses') }}
),

grades as (
    select * from {{ ref('grades') }}
),

oneroster_courses as (
    select * from {{ ref('stg_oneroster__courses') }}
),

classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

-- OneRoster gives a course to a school, or to the district for every school that has a class of it
course_orgs as (
    select
        oneroster_courses.course_id,
        oneroster_courses.org_id
    from oneroster_courses
    union
    select
        classes.course_id,
        classes.org_id
    from classes
    where coalesce(not classes.is_removed, true)
),

known_courses as (
    select
        'myedbc' as source_system,
        courses.school_number,
        courses.course_code,
        courses.title,
        upper(courses.grade_level) as grade_level,
        courses.department,
        courses.source_file,
        courses.source_line
    from courses
    where courses.school_number is not null and courses.course_code is not null
    union all
    select
        'oneroster' as source_system,
        orgs.school_number,
        oneroster_courses.course_code,
        oneroster_courses.title,
        oneroster_courses.grades as grade_level,
        oneroster_courses.subjects as department,
        oneroster_courses.source_file,
        oneroster_courses.source_line
    from oneroster_courses
    inner join course_orgs on oneroster_courses.course_id = course_orgs.course_id
    inner join orgs on course_orgs.org_id = orgs.org_id and orgs.org_type = 'school'
    where coalesce(not oneroster_courses.is_removed, true)
),

one_per_course as (
    {{ deduplicate('known_courses', 'school_number, course_code', 'source_system, source_line') }}
),

final as (
    select
        one_per_course.source_system,
        one_per_course.school_number,
        one_per_course.course_code,
        one_per_course.title,
        grades.grade_code as grade_level,
        one_per_course.department,
        one_per_course.source_file,
        one_per_course.source_line
    from one_per_course
    left join grades on one_per_course.grade_level = grades.grade_text
)

select * from final
