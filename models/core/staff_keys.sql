with pairs as (
    select * from {{ ref('staff_pairs') }}
),

user_keys as (
    select * from {{ ref('staff_user_keys') }}
),

remembered as (
    select * from {{ ref('staff_remembered') }}
),

-- a key once given stays: the account behind it must not change because an id was filled in, or because one of two systems
-- no longer lists somebody
claims as (
    select
        pairs.sis_key,
        pairs.hr_staff_id,
        user_keys.staff_key,
        1 as claim_rank,
        cast(null as date) as last_seen_on
    from pairs
    inner join user_keys on pairs.sis_user_name = user_keys.sis_user_name
    union all
    select
        pairs.sis_key,
        pairs.hr_staff_id,
        remembered.staff_key,
        2 as claim_rank,
        remembered.last_seen_on
    from pairs
    inner join remembered on pairs.hr_staff_id = remembered.hr_staff_id
    union all
    select
        pairs.sis_key,
        pairs.hr_staff_id,
        remembered.staff_key,
        case when pairs.sis_staff_id = remembered.staff_id then 3 else 4 end as claim_rank,
        remembered.last_seen_on
    from pairs
    inner join remembered
        on
            pairs.sis_staff_id = remembered.staff_id
            -- a login may be given to somebody else one day: an id that says another person counts more
            or (
                pairs.sis_user_name = remembered.sis_user_name
                and coalesce(remembered.staff_id in (pairs.sis_staff_id, remembered.hr_staff_id), true)
            )
    -- whom human resources lists under another number is somebody else until a person says otherwise
    where coalesce(pairs.hr_staff_id = remembered.hr_staff_id, true)
),

-- one key is one person's, and one person has one key
strongest_of_key as (
    {{ deduplicate(
        'claims', 'staff_key', "claim_rank, last_seen_on desc nulls last, sis_key nulls last, hr_staff_id nulls last"
    ) }}
),

given as (
    {{ deduplicate(
        'strongest_of_key', "coalesce(sis_key, ''), coalesce(hr_staff_id, '')",
        'claim_rank, last_seen_on desc nulls last, staff_key'
    ) }}
),

keyed as (
    select
        pairs.*,
        given.staff_key as given_key,
        'E' || coalesce(pairs.hr_staff_id, pairs.sis_staff_id) as id_key
    from pairs
    left join given
        on
            coalesce(pairs.sis_key, '') = coalesce(given.sis_key, '')
            and coalesce(pairs.hr_staff_id, '') = coalesce(given.hr_staff_id, '')
),

final as (
    select
        case
            when keyed.given_key is not null then keyed.given_key
            when keyed.id_key is not null and taken.staff_key is null then keyed.id_key
            else 'U' || coalesce(keyed.sis_user_name, keyed.sis_staff_id)
        end as staff_key,
        keyed.sis_key,
        keyed.sis_staff_id,
        keyed.sis_user_name,
        keyed.hr_staff_id,
        keyed.match_rule
    from keyed
    left join given as taken on keyed.id_key = taken.staff_key
)

select * from final
