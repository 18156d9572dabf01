select
    source.order_number,
    cast(source.line as integer) as line,
    source.tax_code,
    cast(source.net as decimal(12, 2)) as net,
    cast(source.tax as decimal(12, 2)) as tax
from {{ source('shop', 'lines') }} as source
