with source as (
    select * from {{ source('oneroster', 'courses') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as course_id,
        {{ clean_text('source.org_sourced_id') }} as org_id,
        coalesce({{ clean_text('source.course_code') }}, {{ clean_text('source.sourced_id') }}) as course_code,

        -- names
        {{ clean_text('source.title') }} as title,
        {{ clean_text('source.subjects') }} as subjects,

        -- codes
        upper({{ clean_text('source.grades') }}) as grades,

        -- flags
        {{ is_removed('source.status') }} as is_removed,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
