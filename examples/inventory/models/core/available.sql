with

items as (
    select * from {{ ref('stg_west__items') }}
),

west as (
    select sku, units, counted_at from {{ ref('stg_west__stock') }}
),

-- cartons become units here; a number nobody has matched to a SKU is a finding of a test, not stock
east as (
    select
        articles.sku,
        sum(bins.cartons * bins.units_per_carton) as units,
        min(bins.counted_at) as counted_at
    from {{ ref('stg_east__bins') }} as bins
    inner join {{ ref('articles') }} as articles on articles.article = bins.article
    group by articles.sku
),

reserved as (
    select sku, sum(units) as units
    from {{ ref('stg_west__reservations') }}
    where is_open
    group by sku
),

-- sold and not shipped: a count that is late is still right once this is taken from it
sold as (
    select sku, sum(units) as units
    from {{ ref('stg_orders__lines') }}
    where is_open
    group by sku
),

counted as (
    select
        items.sku,
        items.title,
        items.price,
        items.is_listed,
        items.source,
        coalesce(west.units, 0) as west_units,
        coalesce(east.units, 0) as east_units,
        coalesce(reserved.units, 0) as reserved_units,
        coalesce(sold.units, 0) as sold_units,
        coalesce(safety.units, 0) as kept_units
    from items
    left join west on west.sku = items.sku
    left join east on east.sku = items.sku
    left join reserved on reserved.sku = items.sku
    left join sold on sold.sku = items.sku
    left join {{ ref('safety_stock') }} as safety on safety.sku = items.sku
),

final as (
    select
        counted.*,
        cast(greatest(west_units + east_units - reserved_units - sold_units - kept_units, 0) as integer) as promised,
        case
            when east_units = 0 then 'west'
            when west_units = 0 then 'east'
            else 'both'
        end as warehouse
    from counted
)

select * from final
