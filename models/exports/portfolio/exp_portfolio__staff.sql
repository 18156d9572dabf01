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

-- who teaches is asked of the classes here and nowhere before: no account waits for a class list
teachers_of_record as (
    select distinct section_staff.staff_key
    from {{ ref('section_staff') }} as section_staff
),

with_roles as (
    select
        staff.*,
        -- an administrator is one whose position says so: the teaching flag says who teaches, not who may see it all
        case
            when roles.role is not null then roles.role
            when staff.is_teacher or teachers_of_record.staff_key is not null then 'teacher'
        end as role
    from staff
    left join roles
        on lower(staff.position) = lower(roles.position)
    left join teachers_of_record
        on staff.staff_key = teachers_of_record.staff_key
),

rules as (
    {{ portfolio_rules() }}
),

final as (
    select
        with_roles.staff_id as user_id,
        {{ first_name_or_placeholder('holders.first_name') }} as first_name,
        holders.last_name,
        holders.address as email,
        with_roles.role,
        {{ portfolio_school('with_roles.school_number') }} as school_id,
        with_roles.school_number,
        holders.person_id,
        holders.source
    from with_roles
    cross join rules
    -- a number that was merged into another is the first one's person: the account it was given before is nobody's to list
    inner join records
        on
            with_roles.staff_key = records.source_key
            and records.population = 'staff'
            and records.reason <> 'merged'
    inner join holders
        on records.person_id = holders.person_id
    where
        holders.is_in_groups
        -- staff who neither teach nor administer are left out: the vendor has no third role, and either would be too much
        and with_roles.role is not null
        -- staff without an id or a school are left out: the vendor keys staff by that id and rosters by school
        and with_roles.staff_id is not null
        and with_roles.school_number is not null
)

select * from final
