with staff as (
    select
        *,
        lower(sis_user_name) as user_name
    from {{ ref('stg_myedbc__staff') }}
),

-- one person may be listed at several schools, with the id on only one of the lines
identified as (
    select
        staff.*,
        max(staff.staff_id) over (partition by coalesce(staff.user_name, staff.staff_id)) as person_staff_id
    from staff
    where coalesce(staff.user_name, staff.staff_id) is not null
),

roles as (
    select * from {{ ref('stg_oneroster__roles') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

assignments as (
    select
        'myedbc' as source_system,
        identified.user_name,
        identified.person_staff_id,
        identified.school_number,
        identified.first_name,
        identified.last_name,
        identified.email,
        coalesce(identified.is_teaching_staff, false) as is_teacher,
        identified.source_file,
        identified.source_line
    from identified
    union all
    select
        'oneroster' as source_system,
        users.user_name,
        users.staff_id as person_staff_id,
        -- a role at the district itself is a role at no school
        orgs.school_number,
        coalesce(users.preferred_given_name, users.given_name) as first_name,
        coalesce(users.preferred_family_name, users.family_name) as last_name,
        users.email,
        roles.role in ('teacher', 'principal', 'counselor') as is_teacher,
        users.source_file,
        users.source_line
    from roles
    inner join users on roles.user_id = users.user_id
    cross join night
    left join orgs on roles.org_id = orgs.org_id and orgs.org_type = 'school'
    where
        roles.role not in ('student', 'parent', 'guardian', 'relative')
        and users.is_enabled
        and coalesce(not users.is_removed, true)
        and coalesce(not roles.is_removed, true)
        and coalesce(roles.begins_on <= night.as_of, true)
        and coalesce(roles.ends_on > night.as_of, true)
        and coalesce(users.user_name, users.staff_id) is not null
),

keyed as (
    select
        assignments.*,
        coalesce('E' || assignments.person_staff_id, 'U' || assignments.user_name) as sis_key,
        case when assignments.is_teacher then 1 else 2 end as teaching_rank
    from assignments
),

one_per_assignment as (
    {{ deduplicate('keyed', 'sis_key, school_number', 'teaching_rank, source_system, source_line') }}
),

final as (
    select
        one_per_assignment.source_system,
        one_per_assignment.sis_key,
        one_per_assignment.user_name as sis_user_name,
        one_per_assignment.person_staff_id as staff_id,
        one_per_assignment.school_number,
        one_per_assignment.first_name,
        one_per_assignment.last_name,
        one_per_assignment.email,
        one_per_assignment.is_teacher,
        one_per_assignment.source_file,
        one_per_assignment.source_line
    from one_per_assignment
)

select * from final
