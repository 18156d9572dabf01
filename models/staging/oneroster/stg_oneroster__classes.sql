with source as (
    select * from {{ source('oneroster', 'classes') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.sourced_id') }} as class_id,
        {{ clean_text('source.course_sourced_id') }} as course_id,
        {{ clean_text('source.school_sourced_id') }} as org_id,
        {{ clean_text('source.term_sourced_ids') }} as session_ids,

        -- names
        {{ clean_text('source.title') }} as title,
        {{ clean_text('source.class_code') }} as class_code,

        -- codes: of several periods the first
        lower({{ clean_text('source.class_type') }}) as class_type,
        {{ clean_text(dbt.split_part('source.periods', "','", 1)) }} as period,

        -- flags
        {{ is_removed('source.status') }} as is_removed,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
