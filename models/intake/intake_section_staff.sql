with classes as (
    select * from {{ ref('stg_myedbc__classes') }}
),

schedules as (
    select * from {{ ref('stg_myedbc__student_schedules') }}
),

class_enrolments as (
    select * from {{ ref('stg_oneroster__enrolments') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

oneroster_classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- a teacher whose id is blank there has at least a name in the students' schedules
teachers as (
    select
        'myedbc' as source_system,
        classes.master_timetable_id,
        classes.school_number,
        classes.teacher_id,
        cast(null as {{ dbt.type_string() }}) as teacher_name,
        classes.is_primary_teacher,
        classes.source_file,
        classes.source_line
    from classes
    where classes.teacher_id is not null
    union all
    select
        'myedbc' as source_system,
        schedules.master_timetable_id,
        coalesce(schedules.course_school_number, schedules.school_number) as school_number,
        cast(null as {{ dbt.type_string() }}) as teacher_id,
        schedules.teacher_name,
        schedules.is_primary_teacher,
        schedules.source_file,
        schedules.source_line
    from schedules
    where schedules.teacher_id is null and schedules.teacher_name is not null
    union all
    select
        'oneroster' as source_system,
        class_enrolments.class_id as master_timetable_id,
        orgs.school_number,
        users.staff_id as teacher_id,
        case
            when users.staff_id is null then {{ teacher_name('users') }}
        end as teacher_name,
        class_enrolments.is_primary as is_primary_teacher,
        class_enrolments.source_file,
        class_enrolments.source_line
    from class_enrolments
    inner join users on class_enrolments.user_id = users.user_id
    inner join orgs on class_enrolments.org_id = orgs.org_id
    cross join night
    left join oneroster_classes on class_enrolments.class_id = oneroster_classes.class_id
    where
        class_enrolments.role = 'teacher'
        and coalesce(not class_enrolments.is_removed, true)
        and coalesce(not users.is_removed, true)
        and coalesce(class_enrolments.ends_on > night.as_of, true)
        -- homerooms stand in the students' own records
        and coalesce(oneroster_classes.class_type, 'scheduled') <> 'homeroom'
),

final as (
    select
        min(teachers.source_system) as source_system,
        teachers.master_timetable_id as timetable_id,
        teachers.school_number,
        teachers.teacher_id as staff_id,
        teachers.teacher_name,
        bool_or(coalesce(teachers.is_primary_teacher, false)) as is_primary,
        min(teachers.source_file) as source_file,
        min(teachers.source_line) as source_line
    from teachers
    where teachers.master_timetable_id is not null and teachers.school_number is not null
    group by teachers.master_timetable_id, teachers.school_number, teachers.teacher_id, teachers.teacher_name
)

select * from final
