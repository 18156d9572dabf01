with source as (
    select * from {{ source('oneroster', 'orgs') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as org_id,
        {{ school_number("coalesce(" ~ clean_text('source.identifier') ~ ", source.sourced_id)") }} as school_number,
        {{ clean_text('source.identifier') }} as identifier,

        -- names
        {{ clean_text('source.name') }} as org_name,

        -- codes
        lower({{ clean_text('source.type') }}) as org_type,

        -- flags
        {{ is_removed('source.status') }} as is_removed,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
