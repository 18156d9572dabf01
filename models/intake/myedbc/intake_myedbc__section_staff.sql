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

-- a district without the extract of classes has who teaches from the schedules alone
scheduled as (
    select distinct
        schedules.master_timetable_id as timetable_id,
        coalesce(schedules.course_school_number, schedules.school_number) as school_number,
        schedules.teacher_id as staff_id,
        cast(null as {{ dbt.type_string() }}) as teacher_name,
        schedules.is_primary_teacher as is_primary,
        cast(null as {{ dbt.type_string() }}) as source_file,
        cast(null as bigint) as source_line
    from schedules
    where
        schedules.teacher_id is not null
        and not exists (select 1 from classes where classes.master_timetable_id is not null)
),

found as (
    select * from teachers
    union all
    select * from scheduled
),

final as (
    select * from found
    where found.timetable_id is not null and found.school_number is not null
)

select * from final
