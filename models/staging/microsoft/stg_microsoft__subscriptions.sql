with source as (
    select * from {{ source('microsoft', 'subscriptions') }}
),

renamed as (
    select
        -- a product bought twice is one product with the seats of both
        licence,
        sum({{ try_cast('seats', 'bigint') }}) as seats,
        sum({{ try_cast('seats_used', 'bigint') }}) as seats_used
    from source
    group by licence
)

select * from renamed
