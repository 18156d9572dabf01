select
    source.number as refund_number,
    source.order_number,
    cast(source.day as date) as day,
    source.tax_code,
    cast(source.net as decimal(12, 2)) as net,
    cast(source.tax as decimal(12, 2)) as tax,
    source._file || ':' || source._line as source
from {{ source('shop', 'refunds') }} as source
