with source as (
    select * from {{ source('oneroster', 'demographics') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as user_id,

        -- codes
        lower({{ clean_text('source.sex') }}) as sex,

        -- dates
        {{ parse_date('source.birth_date') }} as date_of_birth,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
