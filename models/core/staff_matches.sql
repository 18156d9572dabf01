with pairs as (
    select * from {{ ref('staff_pairs') }}
),

user_keys as (
    select * from {{ ref('staff_user_keys') }}
),

final as (
    select
        -- a key once given stays: the account behind it must not change because an id was filled in
        coalesce(user_keys.staff_key, 'E' || coalesce(pairs.hr_staff_id, pairs.sis_staff_id)) as staff_key,
        pairs.sis_key,
        pairs.sis_staff_id,
        pairs.sis_user_name,
        pairs.hr_staff_id,
        pairs.match_rule
    from pairs
    left join user_keys on pairs.sis_user_name = user_keys.sis_user_name
)

select * from final
