with source as (
    select * from {{ source('myedbc', 'emergency_contact_information') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,

        -- names
        {{ name_text('source.first_name', optional=true) }} as first_name,
        {{ name_text('source.last_name') }} as last_name,

        -- contact
        {{ clean_text('source.email_address') }} as email,
        {{ phone_digits('source.home_phone') }} as home_phone,
        {{ phone_digits('source.cellular_phone') }} as mobile_phone,
        {{ phone_digits('source.business_phone') }} as work_phone,

        -- codes
        {{ clean_text('source.contact_type') }} as contact_type,
        {{ clean_text('source.contact_level_code') }} as contact_level_code,
        {{ clean_text('source.relationship_description') }} as relationship_description,

        -- flags
        {{ to_boolean('source.parent_auth_guardian') }} as has_parental_authority,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
