with classes as (
    select * from {{ ref('stg_myedbc__classes') }}
),

schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

-- a teacher whose id is blank there has at least a name in the students' schedules
teachers as (
    select
        classes.master_timetable_id as timetable_id,
        classes.school_number,
        classes.teacher_id as staff_id,
        cast(null as {{ dbt.type_string() }}) as teacher_name,
        classes.is_primary_teacher as is_primary,
        classes.source_file,
        classes.source_line
    from classes
    where classes.teacher_id is not null
    union all
    select
        schedules.master_timetable_id as timetable_id,
        coalesce(schedules.course_school_number, schedules.school_number) as school_number,
        cast(null as {{ dbt.type_string() }}) as staff_id,
        schedules.teacher_name,
        schedules.is_primary_teacher as is_primary,
        schedules.source_file,
        schedules.source_line
    from schedules
    where schedules.teacher_id is null and schedules.teacher_name is not null
),

final as (
    select * from teachers
    where teachers.timetable_id is not null and teachers.school_number is not null
)

select * from final
