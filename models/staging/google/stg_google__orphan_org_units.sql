-- no unit carries a key of ours: every unit is there to become another, where exp_google__org_units says which

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
