with source as (
    select * from {{ source('myedbc', 'parent_information') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ school_number('source.school_number') }} as school_number,

        -- names
        {{ name_text('source.first_name', optional=true) }} as first_name,
        {{ name_text('source.surname') }} as last_name,

        -- contact
        {{ clean_text('source.email_address') }} as email,
        {{ phone_digits('source.home_phone') }} as home_phone,
        {{ phone_digits('source.cellular_phone') }} as mobile_phone,
        {{ phone_digits('source.business_phone') }} as work_phone,

        -- codes
        {{ clean_text('source.parent_type') }} as parent_type,
        {{ clean_text('source.parent_type_description') }} as parent_type_description,

        -- flags
        {{ to_boolean('source.living_with_student') }} as lives_with_student,
        {{ clean_text('source.has_custody') }} as has_custody,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
