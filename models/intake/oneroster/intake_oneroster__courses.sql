with courses as (
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
        courses.course_id,
        courses.org_id
    from courses
    union
    select
        classes.course_id,
        classes.org_id
    from classes
    where coalesce(not classes.is_removed, true)
),

final as (
    select
        orgs.school_number,
        courses.course_code,
        courses.title,
        courses.grades as grade_text,
        courses.subjects as department,
        courses.source_file,
        courses.source_line
    from courses
    inner join course_orgs on courses.course_id = course_orgs.course_id
    inner join orgs on course_orgs.org_id = orgs.org_id and orgs.org_type = 'school'
    where coalesce(not courses.is_removed, true)
)

select * from final
