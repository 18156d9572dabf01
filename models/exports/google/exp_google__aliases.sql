with aliases as (
    select *
    from {{ ref('account_aliases') }}
    where target = 'google'
),

users as (
    select * from {{ ref('exp_google__users') }}
),

final as (
    select
        aliases.person_id,
        {{ alias_id('aliases.address') }} as alias_id,
        aliases.address as alias,
        users.school_number,
        users.source
    from aliases
    inner join users
        on aliases.person_id = users.person_id
    -- an account that was adopted is called what it was: that is no alias of it
    where
        aliases.address <> users.primary_email
        -- a deleted account takes its aliases with it
        and not users.deleted
)

select * from final
