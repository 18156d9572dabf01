with classes as (
    select * from {{ ref('stg_myedbc__classes') }}
),

schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

-- one line per section, teacher and meeting: what is the same on all of them describes the section
known_classes as (
    select * from classes
    where master_timetable_id is not null and school_number is not null and course_code is not null
),

one_per_section as (
    {{ first_row_per('known_classes', 'master_timetable_id', 'source_line') }}
),

-- only the schedule says which year the timetable is for
years as (
    select
        schedules.master_timetable_id,
        max({{ school_year_of_text('schedules.school_year') }}) as school_year
    from schedules
    group by schedules.master_timetable_id
),

final as (
    select
        'myedbc' as source_system,
        one_per_section.master_timetable_id as timetable_id,
        one_per_section.school_number,
        one_per_section.course_code,
        one_per_section.section_letter,
        one_per_section.semester,
        one_per_section.period,
        years.school_year,
        one_per_section.source_file,
        one_per_section.source_line
    from one_per_section
    left join years on one_per_section.master_timetable_id = years.master_timetable_id
)

select * from final
