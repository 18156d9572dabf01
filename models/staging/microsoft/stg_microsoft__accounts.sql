-- every account, ours or not, in the columns identity asks all targets for

with source as (
    select * from {{ source('microsoft', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,
        source.employee_id,

        -- names
        lower(source.user_principal_name) as address,
        source.given_name as first_name,
        source.surname as last_name,

        -- flags
        coalesce(cast(source.account_enabled as boolean), false) as is_open,
        coalesce(cast(source.is_admin as boolean), false) as is_admin,

        -- codes
        case
            -- somebody of another organisation, who signs in there, or was made one of ours and is called so still
            when lower(source.user_type) = 'guest' or lower(source.user_principal_name) like '%#ext#%' then 'guest'
            -- a mailbox several people read, a room, a projector
            when lower(source.user_purpose) = 'shared' then 'shared'
            when lower(source.user_purpose) in ('room', 'equipment') then 'room'
            -- kept by an on-premises directory, which would undo what is written here
            when cast(source.is_synced as boolean) then 'synced'
            -- false is said only of what such a directory let go: some of it cannot be written for ever
            when not cast(source.is_synced as boolean) then 'once_synced'
            else 'member'
        end as kind
    from source
)

select * from renamed
