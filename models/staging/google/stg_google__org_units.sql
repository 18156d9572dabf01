with source as (
    select * from {{ source('google', 'org_units') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.org_unit_path,

        -- names
        source.name,
        source.parent_org_unit_path
    from source
)

select * from renamed
