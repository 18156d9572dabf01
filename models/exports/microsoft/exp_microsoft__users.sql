with holders as (
    select * from {{ ref('account_holders') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'microsoft'
),

accounts as (
    select *
    from {{ ref('target_accounts') }}
    where target = 'microsoft'
),

explained as (
    select * from {{ ref('explained_by_events') }}
),

passwords as (
    select *
    from {{ ref('first_passwords') }}
    where target = 'microsoft'
),

final as (
    select
        holders.person_id,
        accounts.address as user_principal_name,
        accounts.account_name as mail_nickname,
        accounts.address as mail,
        -- required here: one record without any name would else keep everybody's from being written
        coalesce(
            {{ truncate_text(display_name('holders.first_name', 'holders.last_name'), 256) }}, accounts.account_name
        ) as display_name,
        -- a first name is not required here, so people with one name need no placeholder
        {{ truncate_text('holders.first_name', 64) }} as given_name,
        {{ truncate_text('holders.last_name', 64) }} as surname,
        states.account = 'open' as account_enabled,
        states.account = 'deleted' as deleted,
        'CA' as usage_location,
        {{ truncate_text('holders.school_name', 64) }} as department,
        case
            when holders.population = 'student' then 'Student'
            else {{ truncate_text('holders.position', 128) }}
        end as job_title,
        -- how the first one is made, of an account that is made tonight
        coalesce(passwords.recipe, 'random') as first_password,
        holders.population,
        holders.school_number,
        holders.source,
        holders.source_key,
        holders.hold,
        accounts.adopt_id,
        case
            when explained.is_over then 'department,account_enabled'
            when explained.person_id is not null then 'department'
        end as expected_columns
    from holders
    left join explained
        on holders.person_id = explained.person_id
    inner join states
        on holders.person_id = states.person_id
    left join passwords
        on holders.person_id = passwords.person_id
    -- people whose match with an account already there waits for a decision are left out: they would get a second one
    inner join accounts
        on holders.person_id = accounts.person_id
    -- students without a school are left out: they would have an account no school looks after. Staff without one belong to
    -- the district office; those who left stay in, school or not: leaving them out would keep their accounts open. Whoever is
    -- under a hold stays in too: nothing of them is written, and their row says so
    where
        holders.school_number is not null
        or holders.population = 'staff'
        or states.account <> 'open'
        or holders.hold is not null
)

select * from final
