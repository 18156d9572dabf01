select
    source.id as line_id,
    source.sku,
    cast(source.quantity as integer) as units,
    source.state = 'open' as is_open
from {{ source('orders', 'lines') }} as source
