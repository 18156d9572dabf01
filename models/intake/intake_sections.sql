with classes as (
    select * from {{ ref('stg_myedbc__classes') }}
),

schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

oneroster_classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

class_sessions as (
    select
        oneroster_classes.class_id,
        {{ split_to_rows('oneroster_classes.session_ids') }} as session_id
    from oneroster_classes
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

-- only the schedule says which year the timetable is for
years as (
    select
        schedules.master_timetable_id,
        max({{ school_year_of_text('schedules.school_year') }}) as school_year
    from schedules
    group by schedules.master_timetable_id
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

-- one line per section, teacher and meeting: what is the same on all of them describes the section
known_classes as (
    select
        'myedbc' as source_system,
        classes.master_timetable_id as timetable_id,
        classes.school_number,
        classes.course_code,
        classes.section_letter,
        classes.semester,
        classes.period,
        years.school_year,
        classes.source_file,
        classes.source_line
    from classes
    left join years on classes.master_timetable_id = years.master_timetable_id
    where classes.master_timetable_id is not null and classes.school_number is not null and classes.course_code is not null
    union all
    select
        'oneroster' as source_system,
        oneroster_classes.class_id as timetable_id,
        orgs.school_number,
        courses.course_code,
        oneroster_classes.class_code as section_letter,
        -- semesters change at the end of January: a class over by mid-February is of the first
        case
            when class_dates.ends_on < {{ date_of_year('class_dates.school_year', '02-15') }} then '1'
            when class_dates.starts_on >= {{ date_of_year('class_dates.school_year', '01-01') }} then '2'
            when class_dates.class_id is not null then 'FY'
        end as semester,
        oneroster_classes.period,
        class_dates.school_year,
        oneroster_classes.source_file,
        oneroster_classes.source_line
    from oneroster_classes
    inner join orgs on oneroster_classes.org_id = orgs.org_id and orgs.org_type = 'school'
    left join courses on oneroster_classes.course_id = courses.course_id
    left join class_dates on oneroster_classes.class_id = class_dates.class_id
    where coalesce(oneroster_classes.class_type, 'scheduled') <> 'homeroom' and coalesce(not oneroster_classes.is_removed, true)
),

one_per_section as (
    {{ deduplicate('known_classes', 'timetable_id', 'source_system, source_line') }}
),

final as (
    select
        one_per_section.source_system,
        one_per_section.timetable_id,
        one_per_section.school_number,
        one_per_section.course_code,
        one_per_section.section_letter,
        one_per_section.semester,
        one_per_section.period,
        one_per_section.school_year,
        one_per_section.source_file,
        one_per_section.source_line
    from one_per_section
)

select * from final
