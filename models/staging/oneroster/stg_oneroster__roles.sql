with source as (
    select * from {{ source('oneroster', 'roles') }}
),

users as (
    select * from {{ source('oneroster', 'users') }}
),

-- 1.1 has no file of roles: there a person has one role, at every organization of the list
roles_of_users as (
    select
        users.sourced_id,
        users.role,
        users.status,
        {{ split_to_rows('users.org_sourced_ids') }} as org_id,
        users._file,
        users._line,
        users._loaded_at
    from users
    where users.role is not null
),

renamed as (
    select
        -- ids
        {{ clean_text('source.user_sourced_id') }} as user_id,
        {{ clean_text('source.org_sourced_id') }} as org_id,

        -- codes
        lower({{ clean_text('source.role') }}) as role,
        lower({{ clean_text('source.role_type') }}) as role_type,

        -- flags
        {{ is_removed('source.status') }} as is_removed,

        -- dates
        {{ parse_date('source.begin_date') }} as begins_on,
        {{ parse_date('source.end_date') }} as ends_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
    union all
    select
        -- ids
        {{ clean_text('roles_of_users.sourced_id') }} as user_id,
        {{ clean_text('roles_of_users.org_id') }} as org_id,

        -- codes
        lower({{ clean_text('roles_of_users.role') }}) as role,
        cast(null as {{ dbt.type_string() }}) as role_type,

        -- flags
        {{ is_removed('roles_of_users.status') }} as is_removed,

        -- dates
        cast(null as date) as begins_on,
        cast(null as date) as ends_on,

        -- load
        roles_of_users._file as source_file,
        roles_of_users._line as source_line,
        roles_of_users._loaded_at as loaded_at
    from roles_of_users
)

select * from renamed
