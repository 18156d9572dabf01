with schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

final as (
    select
        schedules.master_timetable_id as timetable_id,
        schedules.student_number,
        coalesce(schedules.course_school_number, schedules.school_number) as school_number,
        schedules.course_code,
        {{ school_year_of_text('schedules.school_year') }} as school_year,
        schedules.source_file,
        schedules.source_line
    from schedules
    where schedules.student_number is not null and schedules.master_timetable_id is not null
)

select * from final
