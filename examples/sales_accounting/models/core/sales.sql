with

-- a cancelled order was not sold: what was posted of it is taken back
sold as (
    select
        orders.order_number,
        orders.order_number || '.' || lines.tax_code as about,
        orders.day,
        'sales' as account,
        lines.tax_code,
        lines.net,
        lines.tax
    from {{ ref('stg_shop__orders') }} as orders
    inner join {{ ref('stg_shop__lines') }} as lines on lines.order_number = orders.order_number
    where orders.state <> 'cancelled'
),

-- given back on a day of its own: the day of the sale stays as it was
refunded as (
    select
        refunds.order_number,
        refunds.refund_number as about,
        refunds.day,
        'refunds' as account,
        refunds.tax_code,
        -refunds.net as net,
        -refunds.tax as tax
    from {{ ref('stg_shop__refunds') }} as refunds
),

final as (
    select
        about,
        order_number,
        day,
        account,
        tax_code,
        cast(sum(net) as decimal(12, 2)) as net,
        cast(sum(tax) as decimal(12, 2)) as tax
    from (select * from sold union all by name select * from refunded)
    group by all
)

select * from final
