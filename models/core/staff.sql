{% set is_known = 'remembered.staff_key is not null and real_names.source_key is null' %}

with matches as (
    select * from {{ ref('staff_matches') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

listed_employees as (
    select * from {{ ref('intake_employees') }}
),

remembered as (
    select * from {{ ref('staff_remembered') }}
),

real_names as (
    select * from {{ ref('real_names') }}
    where population = 'staff'
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

-- of whom human resources no longer lists, what it last said stands, the last day too, until it lists them again
employees as (
    select
        matches.staff_key,
        true as is_listed,
        listed_employees.staff_id,
        listed_employees.first_name,
        listed_employees.last_name,
        listed_employees.usual_first_name,
        listed_employees.position,
        listed_employees.email,
        listed_employees.school_number,
        listed_employees.hired_on,
        listed_employees.ended_on,
        listed_employees.source_file,
        listed_employees.source_line
    from matches
    inner join listed_employees on matches.hr_staff_id = listed_employees.staff_id
    union all
    select
        matches.staff_key,
        false as is_listed,
        remembered.hr_staff_id as staff_id,
        remembered.first_name,
        remembered.last_name,
        remembered.usual_first_name,
        remembered.position,
        cast(null as {{ dbt.type_string() }}) as email,
        remembered.school_number,
        remembered.hired_on,
        remembered.ended_on,
        remembered.hr_source_file as source_file,
        cast(null as bigint) as source_line
    from matches
    inner join remembered on matches.staff_key = remembered.staff_key
    where
        matches.hr_staff_id is null
        and remembered.hr_staff_id is not null
),

together as (
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
        coalesce(employees.is_listed, false) as is_in_hr,
        employees.staff_id as hr_staff_id,
        matches.match_rule,
        employees.hired_on,
        employees.ended_on,
        coalesce(sis.source_file, employees.source_file) as source_file,
        case when sis.source_file is null then employees.source_line else sis.source_line end as source_line,
        employees.source_file as hr_source_file
    from matches
    cross join night
    left join employees on matches.staff_key = employees.staff_key
    left join primary_assignments as sis on matches.sis_key = sis.sis_key
    left join teachers on matches.sis_key = teachers.sis_key
),

final as (
    select
        {{ all_but('together', ['first_name', 'last_name', 'usual_first_name']) }},
        -- nobody's name turns into a damaged one
        {{ name_of_before('together.first_name', 'remembered.first_name', is_known) }} as first_name,
        {{ name_of_before('together.last_name', 'remembered.last_name', is_known, first_name='together.first_name') }} as last_name,
        {{ name_of_before('together.usual_first_name', 'remembered.usual_first_name', is_known) }} as usual_first_name
    from together
    left join remembered on together.staff_key = remembered.staff_key
    left join real_names on together.staff_key = real_names.source_key
)

select * from final
