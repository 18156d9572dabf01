-- one invoice per order, as it is today; a refund is a posting, its invoice stays
select
    sales.order_number,
    orders.day,
    orders.customer,
    cast(sum(sales.net) as decimal(12, 2)) as net,
    cast(sum(sales.tax) as decimal(12, 2)) as tax
from {{ ref('sales') }} as sales
inner join {{ ref('stg_shop__orders') }} as orders on orders.order_number = sales.order_number
where sales.account = 'sales'
group by all
