with source as (
    select * from {{ source('myedbc', 'staff_information') }}
),

renamed as (
    select
        -- ids
        {{ staff_id('source.teacher_id') }} as staff_id,
        {{ clean_text('source.user_name') }} as sis_user_name,
        {{ school_number('source.school_number') }} as school_number,

        -- names
        {{ name_text('source.first_name') }} as first_name,
        {{ name_text('source.last_name') }} as last_name,
        {{ clean_text('source.email_address') }} as email,

        -- flags
        {{ to_boolean('source.teaching_staff') }} as is_teaching_staff,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
