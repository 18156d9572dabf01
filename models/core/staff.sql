with matches as (
    select * from {{ ref('staff_matches') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

employees as (
    select * from {{ ref('intake_employees') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

ranked_assignments as (
    select
        assignments.*,
        case when assignments.is_teacher then 1 else 2 end as teaching_rank
    from assignments
),

-- where a person teaches comes before where a person only has access
primary_assignments as (
    {{ deduplicate('ranked_assignments', 'sis_key', 'teaching_rank, school_number nulls last, source_line') }}
),

teachers as (
    select
        assignments.sis_key,
        bool_or(assignments.is_teacher) as is_teacher
    from assignments
    group by assignments.sis_key
),

final as (
    select
        matches.staff_key,
        coalesce(matches.sis_staff_id, matches.hr_staff_id) as staff_id,
        matches.sis_user_name,
        -- a change of name is reported to human resources first
        case when employees.staff_id is null then sis.first_name else employees.first_name end as first_name,
        coalesce(employees.last_name, sis.last_name) as last_name,
        case when employees.staff_id is null then sis.first_name else employees.usual_first_name end as usual_first_name,
        coalesce(sis.email, employees.email) as email,
        employees.position,
        coalesce(teachers.is_teacher, false) as is_teacher,
        coalesce(employees.school_number, sis.school_number) as school_number,
        coalesce(employees.ended_on >= night.as_of, true) as is_active,
        matches.sis_key is not null as is_in_sis,
        matches.hr_staff_id is not null as is_in_hr,
        matches.match_rule,
        employees.hired_on,
        employees.ended_on,
        coalesce(sis.source_file, employees.source_file) as source_file,
        case when sis.source_file is null then employees.source_line else sis.source_line end as source_line
    from matches
    cross join night
    left join employees on matches.hr_staff_id = employees.staff_id
    left join primary_assignments as sis on matches.sis_key = sis.sis_key
    left join teachers on matches.sis_key = teachers.sis_key
)

select * from final
