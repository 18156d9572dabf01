with users as (
    select * from {{ ref('exp_microsoft__users') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('microsoft_details') }}
),

people as (
    select
        users.person_id,
        users.user_principal_name,
        users.account_enabled,
        users.source,
        users.school_number as export_school,
        holders.population,
        holders.school_number,
        holders.school_name,
        holders.grade_code,
        holders.homeroom,
        holders.position,
        holders.source_key
    from users
    inner join holders
        on users.person_id = holders.person_id
    where not users.deleted
),

-- whoever has a position at a school; of several the first by address, so that it is the same one every night
incumbents as (
    select
        people.school_number,
        lower(people.position) as position,
        min(people.user_principal_name) as address
    from people
    where people.population = 'staff' and people.account_enabled
    group by people.school_number, lower(people.position)
),

fitting as (
    select
        people.*,
        rules.field,
        rules.value as pattern,
        incumbents.address as holder,
        {{ rule_weight('rules') }} as weight
    from people
    inner join rules
        on {{ rule_fits('rules', 'people') }}
    -- nobody is their own
    left join incumbents
        on
            coalesce(people.school_number, '') = coalesce(incumbents.school_number, '')
            and lower(rules.held_by) = incumbents.position
            and people.user_principal_name <> incumbents.address
),

chosen as (
    {{ deduplicate('fitting', 'person_id, field', 'weight desc, pattern') }}
),

final as (
    select
        chosen.person_id,
        chosen.field,
        {{ detail_words('chosen') }} as value,
        chosen.export_school as school_number,
        chosen.source
    from chosen
)

select * from final
