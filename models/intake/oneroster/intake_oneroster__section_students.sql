with class_enrolments as (
    select * from {{ ref('stg_oneroster__enrolments') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

courses as (
    select * from {{ ref('stg_oneroster__courses') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

sessions as (
    select * from {{ ref('stg_oneroster__academic_sessions') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

class_sessions as (
    select
        classes.class_id,
        {{ split_to_rows('classes.session_ids') }} as session_id
    from classes
),

class_years as (
    select
        class_sessions.class_id,
        max({{ session_school_year('sessions') }}) as school_year
    from class_sessions
    inner join sessions on trim(class_sessions.session_id) = sessions.session_id
    group by class_sessions.class_id
),

final as (
    select
        {{ class_of_year('class_enrolments.class_id') }} as timetable_id,
        users.student_number,
        orgs.school_number,
        courses.course_code,
        class_years.school_year,
        class_enrolments.source_file,
        class_enrolments.source_line
    from class_enrolments
    inner join users on class_enrolments.user_id = users.user_id
    cross join night
    left join orgs on class_enrolments.org_id = orgs.org_id
    left join classes on class_enrolments.class_id = classes.class_id
    left join courses on classes.course_id = courses.course_id
    left join class_years on class_enrolments.class_id = class_years.class_id
    where
        class_enrolments.role = 'student'
        and coalesce(not class_enrolments.is_removed, true)
        and coalesce(not users.is_removed, true)
        -- the end date is the first day the student is no longer in the class
        and coalesce(class_enrolments.ends_on > night.as_of, true)
        -- homerooms stand in the student's own record
        and coalesce(classes.class_type, 'scheduled') <> 'homeroom'
        and class_enrolments.class_id is not null
)

select * from final
