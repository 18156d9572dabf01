{{ config(materialized='view') }}

with google_users as (
    select * from {{ ref('stg_google__orphan_users') }}
),

microsoft_users as (
    select * from {{ ref('stg_microsoft__orphan_users') }}
),

reserved_names as (
    select * from {{ ref('reserved_names') }}
),

users as (
    select
        'google' as target,
        google_users.remote_id,
        google_users.primary_email as address,
        google_users.employee_id,
        google_users.given_name as first_name,
        google_users.family_name as last_name,
        not google_users.suspended as is_open,
        google_users.is_admin,
        false as is_synced
    from google_users

    union all

    select
        'microsoft' as target,
        microsoft_users.remote_id,
        microsoft_users.user_principal_name as address,
        microsoft_users.employee_id,
        microsoft_users.given_name as first_name,
        microsoft_users.surname as last_name,
        microsoft_users.account_enabled as is_open,
        microsoft_users.is_admin,
        microsoft_users.is_synced
    from microsoft_users
),

final as (
    select
        users.target,
        users.remote_id,
        users.address,
        {{ local_part('users.address') }} as account_name,
        {{ regex_replace('users.address', '^[^@]*@', '') }} as domain,
        users.employee_id,
        users.first_name,
        users.last_name,
        case
            when users.is_admin then 'the account is an administrator''s'
            when users.is_synced then 'an on-premises directory keeps the account'
            -- somebody of another organisation, who signs in there
            when users.address like '%#ext#%' then 'the account is a guest''s'
            when reserved_names.account_name is not null then 'the account has a reserved name'
            when not users.is_open then 'the account is closed'
        end as protection
    from users
    left join reserved_names
        on {{ local_part('users.address') }} = lower(reserved_names.account_name)
)

select * from final
