with holders as (
    select * from {{ ref('account_holders') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google'
),

accounts as (
    select *
    from {{ ref('target_accounts') }}
    where target = 'google'
),

placements as (
    select * from {{ ref('org_unit_assignments') }}
),

explained as (
    select * from {{ ref('explained_by_events') }}
),

placed as (
    select
        holders.*,
        states.account,
        accounts.address as account_address,
        accounts.adopt_id,
        placements.org_unit_path
    from holders
    inner join states
        on holders.person_id = states.person_id
    -- people whose match with an account already there waits for a decision are left out: they would get a second one
    inner join accounts
        on holders.person_id = accounts.person_id
    left join placements
        on holders.person_id = placements.person_id
    -- students without a school are left out: an account with no org unit would land at the root. Staff without one live in
    -- the district office; those who left stay in, school or not: leaving them out would keep their accounts open. Whoever is
    -- under a hold stays in too: nothing of them is written, and their row says so
    where
        states.account <> 'open'
        or holders.hold is not null
        or (
            -- no row of seed org_unit_rules fits: nobody has said where the account should live
            placements.org_unit_path is not null
            and (holders.school_number is not null or holders.population = 'staff')
        )
),

passwords as (
    select *
    from {{ ref('first_passwords') }}
    where target = 'google'
),

final as (
    select
        placed.person_id,
        placed.account_address as primary_email,
        {{ first_name_or_placeholder(truncate_text('placed.first_name', 60)) }} as given_name,
        coalesce({{ truncate_text('placed.last_name', 60) }}, placed.account_name) as family_name,
        case
            when placed.account <> 'open' then {{ leavers_org_unit_path() }}
            else coalesce(placed.org_unit_path, {{ leavers_org_unit_path() }})
        end as org_unit_path,
        placed.account <> 'open' as suspended,
        placed.account = 'archived' as archived,
        placed.account = 'deleted' as deleted,
        -- how the first one is made, of an account that is made tonight
        coalesce(passwords.recipe, 'random') as first_password,
        placed.population,
        placed.school_number,
        placed.source,
        placed.source_key,
        placed.hold,
        placed.adopt_id,
        case
            when explained.is_over then 'org_unit_path,suspended,archived'
            when explained.person_id is not null then 'org_unit_path'
        end as expected_columns
    from placed
    left join passwords
        on placed.person_id = passwords.person_id
    left join explained
        on placed.person_id = explained.person_id
)

select * from final
