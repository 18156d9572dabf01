with source as (
    select * from {{ source('oneroster', 'academic_sessions') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as session_id,

        -- codes
        lower({{ clean_text('source.type') }}) as session_type,
        {{ clean_text('source.school_year') }} as school_year,

        -- dates
        {{ parse_date('source.start_date') }} as starts_on,
        {{ parse_date('source.end_date') }} as ends_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
