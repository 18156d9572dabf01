{{ config(materialized='view') }}

with accounts as (
    select * from {{ ref('stg_targets__accounts') }}
),

reserved_names as (
    select * from {{ ref('reserved_names') }}
),

final as (
    select
        accounts.target,
        accounts.remote_id,
        accounts.address,
        {{ local_part('accounts.address') }} as account_name,
        {{ regex_replace('accounts.address', '^[^@]*@', '') }} as domain,
        accounts.employee_id,
        accounts.first_name,
        accounts.last_name,
        coalesce(accounts.kind not in ('member', 'synced', 'once_synced'), false) as is_nobodys,
        case
            when accounts.kind = 'guest' then 'the account is a guest''s'
            when accounts.kind = 'shared' then 'the account is a mailbox of several'
            when accounts.kind = 'room' then 'the account is a room''s or a device''s'
            when accounts.kind not in ('member', 'synced', 'once_synced') then 'the account is no person''s own'
            when accounts.is_admin then 'the account is an administrator''s'
            when accounts.kind = 'synced' then 'an on-premises directory keeps the account'
            when accounts.kind = 'once_synced' then 'an on-premises directory kept the account'
            -- what is not said is no member
            when accounts.kind is null then 'nothing says what sort of account it is'
            when reserved_names.account_name is not null then 'the account has a reserved name'
            when not coalesce(accounts.is_open, false) then 'the account is closed'
        end as protection
    from accounts
    left join reserved_names
        on {{ local_part('accounts.address') }} = lower(reserved_names.account_name)
    where accounts.person_id is null
)

select * from final
