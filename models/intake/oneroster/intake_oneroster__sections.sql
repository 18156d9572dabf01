with classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

class_sessions as (
    select
        classes.class_id,
        {{ split_to_rows('classes.session_ids') }} as session_id
    from classes
),

sessions as (
    select * from {{ ref('stg_oneroster__academic_sessions') }}
),

courses as (
    select * from {{ ref('stg_oneroster__courses') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

-- a class of several terms lasts from the first day of any to the last day of any
class_dates as (
    select
        class_sessions.class_id,
        min(sessions.starts_on) as starts_on,
        max(sessions.ends_on) as ends_on,
        max({{ session_school_year('sessions') }}) as school_year
    from class_sessions
    inner join sessions on trim(class_sessions.session_id) = sessions.session_id
    group by class_sessions.class_id
),

final as (
    select
        {{ class_of_year('classes.class_id') }} as timetable_id,
        orgs.school_number,
        courses.course_code,
        classes.class_code as section_letter,
        -- semesters change at the end of January: a class over by mid-February is of the first
        case
            when class_dates.ends_on < {{ date_of_year('class_dates.school_year', '02-15') }} then '1'
            when class_dates.starts_on >= {{ date_of_year('class_dates.school_year', '01-01') }} then '2'
            when class_dates.class_id is not null then 'FY'
        end as semester,
        classes.period,
        class_dates.school_year,
        classes.source_file,
        classes.source_line
    from classes
    inner join orgs on classes.org_id = orgs.org_id and orgs.org_type = 'school'
    left join courses on classes.course_id = courses.course_id
    left join class_dates on classes.class_id = class_dates.class_id
    where coalesce(classes.class_type, 'scheduled') <> 'homeroom' and coalesce(not classes.is_removed, true)
)

select * from final
