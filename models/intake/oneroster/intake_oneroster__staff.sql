with roles as (
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

final as (
    select
        users.user_name as sis_user_name,
        users.staff_id,
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
)

select * from final
