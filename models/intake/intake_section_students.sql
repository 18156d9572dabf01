with schedules as (
    select
        *,
        {{ school_year_of_text('school_year') }} as school_year_end
    from {{ ref('stg_myedbc__student_schedules') }}
),

known_schedules as (
    select * from schedules where student_number is not null and master_timetable_id is not null
),

one_per_member as (
    {{ first_row_per('known_schedules', 'master_timetable_id, student_number', 'school_year_end desc nulls last, source_line') }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_member.master_timetable_id as timetable_id,
        one_per_member.student_number,
        coalesce(one_per_member.course_school_number, one_per_member.school_number) as school_number,
        one_per_member.course_code,
        one_per_member.school_year_end as school_year,
        one_per_member.source_file,
        one_per_member.source_line
    from one_per_member
)

select * from final
