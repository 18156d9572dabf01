-- aliases of accounts that carry our key; what others hold stands in stg_google__names_taken

with source as (
    select * from {{ source('google', 'aliases') }}
),

renamed as (
    select
        -- ids
        {{ alias_id('source.alias') }} as remote_id,
        source.person_id,
        {{ alias_id('source.alias') }} as alias_id,

        -- names
        lower(source.alias) as alias
    from source
)

select * from renamed
