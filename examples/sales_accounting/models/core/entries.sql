-- what has to be posted today: sales and refunds by tax code, and each payment, however small a part
select about, order_number, day, account, tax_code, net, tax
from {{ ref('sales') }}
union all
select
    payment_number as about,
    order_number,
    day,
    'payments' as account,
    'none' as tax_code,
    amount as net,
    cast(0 as decimal(12, 2)) as tax
from {{ ref('stg_shop__payments') }}
