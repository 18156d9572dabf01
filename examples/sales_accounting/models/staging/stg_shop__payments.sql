select
    source.number as payment_number,
    source.order_number,
    cast(source.day as date) as day,
    cast(source.amount as decimal(12, 2)) as amount,
    source._file || ':' || source._line as source
from {{ source('shop', 'payments') }} as source
