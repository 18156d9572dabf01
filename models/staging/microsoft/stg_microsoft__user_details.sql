-- of accounts of ours, whatever is in it

with source as (
    select * from {{ source('microsoft', 'user_details') }}
),

users as (
    select * from {{ ref('stg_microsoft__users') }}
),

renamed as (
    select
        -- ids
        users.remote_id,
        source.person_id,

        -- facts
        source.employee_id,
        source.company_name,
        source.office_location,
        source.age_group,
        source.consent_provided_for_minor,
        source.extension_attribute_1,
        source.extension_attribute_2,
        source.extension_attribute_3,
        source.extension_attribute_4,
        source.extension_attribute_5,
        source.extension_attribute_6,
        source.extension_attribute_7,
        source.extension_attribute_8,
        source.extension_attribute_9,
        source.extension_attribute_10,
        source.extension_attribute_11,
        source.extension_attribute_12,
        source.extension_attribute_13,
        source.extension_attribute_14
    from source
    inner join users
        on source.person_id = users.person_id
)

select * from renamed
