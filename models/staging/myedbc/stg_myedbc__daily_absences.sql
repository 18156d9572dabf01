with source as (
    select * from {{ source('myedbc', 'student_daily_absences') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ school_number('source.school_number') }} as school_number,

        -- codes
        {{ clean_text('source.absent_code_am') }} as absent_code_am,
        {{ clean_text('source.absent_code_pm') }} as absent_code_pm,
        {{ clean_text('source.reason_code_am') }} as reason_code_am,
        {{ clean_text('source.reason_code_pm') }} as reason_code_pm,

        -- flags
        {{ to_boolean('source.authorized_am') }} as is_authorized_am,
        {{ to_boolean('source.authorized_pm') }} as is_authorized_pm,

        -- dates
        {{ parse_date('source.absence_date') }} as absence_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
