with

holders as (

    select * from {{ ref('account_holders') }}

),

accounts as (

    select *
    from {{ ref('target_accounts') }}
    where target = 'google'

),

placed as (

    select
        holders.*,
        accounts.address as account_address,
        accounts.adopt_id,
        {{ org_unit_name('holders.school_name', 'No school') }} as school_unit,
        {{ org_unit_name('holders.grade_code', 'No grade') }} as grade_unit,
        {{ org_unit_name('holders.homeroom', 'No homeroom') }} as homeroom_unit,
        {{ org_unit_name('holders.position', 'No position') }} as position_unit
    from holders
    -- people whose match with an account already there waits for a decision are left out: they would get a second one
    inner join accounts
        on holders.person_id = accounts.person_id
    -- students without a school are left out: an account with no org unit would land at the root. Staff without one live in
    -- the district office; those who left stay in, school or not: leaving them out would keep their accounts open
    where
        holders.school_number is not null
        or holders.population = 'staff'
        or holders.state = 'left'

),

final as (

    select
        placed.person_id,
        placed.account_address as primary_email,
        {{ first_name_or_placeholder(fitted_text('placed.first_name', 60)) }} as given_name,
        coalesce({{ fitted_text('placed.last_name', 60) }}, placed.account_name) as family_name,
        case
            when placed.state = 'left' then {{ leavers_org_unit_path() }}
            when placed.population = 'staff' then {{ staff_org_unit_path('placed.school_unit', 'placed.position_unit') }}
            else {{ student_org_unit_path('placed.school_unit', 'placed.grade_unit', 'placed.homeroom_unit') }}
        end as org_unit_path,
        placed.state = 'left' as suspended,
        placed.population,
        placed.school_number,
        placed.source,
        placed.adopt_id
    from placed

)

select * from final
