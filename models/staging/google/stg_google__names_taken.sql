with source as (
    select * from {{ source('google', 'names_taken') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,

        -- names
        lower(source.address) as address,

        -- codes
        source.kind
    from source
    where source.address is not null
)

select * from renamed
