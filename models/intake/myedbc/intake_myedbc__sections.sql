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
listed as (
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
),

-- a district without the extract of classes: a section is what its students' schedules say of it, in the first line
scheduled as (
    select
        schedules.master_timetable_id as timetable_id,
        coalesce(schedules.course_school_number, schedules.school_number) as school_number,
        schedules.course_code,
        schedules.section_letter,
        schedules.semester,
        schedules.period,
        years.school_year,
        schedules.source_file,
        schedules.source_line
    from schedules
    inner join years on schedules.master_timetable_id = years.master_timetable_id
    where
        schedules.course_code is not null
        and coalesce(schedules.course_school_number, schedules.school_number) is not null
        and not exists (select 1 from listed)
),

first_scheduled as (
    {{ deduplicate('scheduled', 'timetable_id', 'source_file nulls last, source_line nulls last') }}
),

final as (
    select * from listed
    union all
    select * from first_scheduled
)

select * from final
