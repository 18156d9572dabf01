with classes as (
    select * from {{ ref('stg_myedbc__classes') }}
),

schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

-- only the schedule says which year the timetable is for
years as (
    select
        schedules.master_timetable_id,
        max({{ school_year_of_text('schedules.school_year') }}) as school_year
    from schedules
    group by schedules.master_timetable_id
),

-- one line per section, teacher and meeting: what is the same on all of them describes the section
final as (
    select
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
)

select * from final
