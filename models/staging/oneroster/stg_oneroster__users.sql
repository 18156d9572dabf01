with source as (
    select * from {{ source('oneroster', 'users') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as user_id,
        coalesce({{ staff_id('source.identifier') }}, {{ clean_text('source.sourced_id') }}) as student_number,
        {{ staff_id('source.identifier') }} as staff_id,
        lower({{ clean_text('source.username') }}) as user_name,
        {{ clean_text('source.primary_org_sourced_id') }} as primary_org_id,
        {{ clean_text('source.agent_sourced_ids') }} as agent_ids,

        -- names: a person with one name has a hyphen for the given name, which may not be empty
        nullif({{ name_text('source.given_name') }}, '-') as given_name,
        {{ name_text('source.middle_name', optional=true) }} as middle_name,
        {{ name_text('source.family_name') }} as family_name,
        {{ name_text('source.preferred_given_name', optional=true) }} as preferred_given_name,
        {{ name_text('source.preferred_family_name', optional=true) }} as preferred_family_name,

        -- contact
        {{ clean_text('source.email') }} as email,
        {{ phone_digits('source.phone') }} as phone,
        {{ phone_digits('source.sms') }} as sms,

        -- codes: of several grades the first
        upper({{ clean_text(dbt.split_part('source.grades', "','", 1)) }}) as grade,

        -- flags
        coalesce({{ to_boolean('source.enabled_user') }}, true) as is_enabled,
        {{ is_removed('source.status') }} as is_removed,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
