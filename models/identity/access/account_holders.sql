with accounts as (
    {{ deduplicate(ref('accounts'), 'person_id', 'name_number desc') }}
),

target_accounts as (
    select * from {{ ref('target_accounts') }}
),

-- the address people write to: where an account of before us was adopted, that one's
addresses as (
    {{ deduplicate('target_accounts', 'person_id', 'target') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

records as (
    select * from {{ ref('person_records') }}
),

school_names as (
    select * from {{ ref('school_names') }}
),

final as (
    select
        -- ids
        accounts.person_id,
        lifecycle.population,
        records.source_key,

        -- account
        accounts.account_name,
        accounts.domain,
        coalesce(addresses.address, accounts.account_name || '@' || accounts.domain) as address,
        lifecycle.state,
        lifecycle.is_open,
        lifecycle.is_in_groups,
        lifecycle.hold,

        -- names
        records.first_name,
        records.last_name,

        -- place
        records.school_number,
        -- people on staff whom no school lists work for the district as a whole
        coalesce(
            school_names.school_name,
            records.school_number,
            case records.population when 'staff' then {{ district_office() }} end
        ) as school_name,
        records.grade_code,
        records.homeroom,
        records.homeroom_teacher_id,
        records.staff_id,
        records.position,

        -- load
        records.source
    from accounts
    inner join lifecycle
        on accounts.person_id = lifecycle.person_id
    inner join records
        on accounts.person_id = records.person_id
    left join addresses
        on accounts.person_id = addresses.person_id
    left join school_names
        on records.school_number = school_names.school_number
)

select * from final
