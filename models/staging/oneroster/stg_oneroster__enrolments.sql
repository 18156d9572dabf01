with source as (
    select * from {{ source('oneroster', 'enrollments') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.class_sourced_id') }} as class_id,
        {{ clean_text('source.school_sourced_id') }} as org_id,
        {{ clean_text('source.user_sourced_id') }} as user_id,

        -- codes
        lower({{ clean_text('source.role') }}) as role,

        -- flags
        coalesce({{ to_boolean('source."primary"') }}, false) as is_primary,
        {{ is_removed('source.status') }} as is_removed,

        -- dates
        {{ parse_date('source.begin_date') }} as begins_on,
        {{ parse_date('source.end_date') }} as ends_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
