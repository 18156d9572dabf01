-- who of the staff may stand in a vendor's list, said once for every list there is

with

-- everybody ever on staff, as last seen: who is in no feed tonight is still there while the account is active
staff as (
    select * from {{ ref('staff_last_seen') }}
),

records as (
    select * from {{ ref('person_records') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

roles as (
    select * from {{ ref('portfolio_roles') }}
),

final as (
    select
        -- ids
        holders.person_id,
        staff.staff_key,
        staff.staff_id,
        -- the number a vendor knows them by: without one the name of their account, which nobody else ever gets
        coalesce(staff.staff_id, holders.account_name) as staff_number,

        -- account
        holders.account_name,
        holders.address,

        -- names
        {{ first_name_or_placeholder('holders.first_name') }} as first_name,
        coalesce(holders.last_name, '') as last_name,

        -- place
        staff.position as title,
        -- an administrator is one whose position says so: the teaching flag says who teaches, not who may see it all
        case
            when roles.role is not null then roles.role
            when staff.is_teacher then 'teacher'
            else 'staff'
        end as role,
        staff.school_number,
        holders.school_name,

        -- load
        holders.source
    from staff
    left join roles on lower(staff.position) = lower(roles.position)
    -- a number that was merged into another is the first one's person: the account it was given before is nobody's to list
    inner join records
        on
            staff.staff_key = records.source_key
            and records.population = 'staff'
            and records.reason <> 'merged'
    inner join holders on records.person_id = holders.person_id
    where
        holders.is_in_groups
        -- staff without a school are left out: every vendor lists by school
        and staff.school_number is not null
)

select * from final
