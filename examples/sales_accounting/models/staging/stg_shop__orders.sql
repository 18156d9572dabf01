select
    source.number as order_number,
    cast(source.day as date) as day,
    source.customer,
    source.state,
    source._file || ':' || source._line as source
from {{ source('shop', 'orders') }} as source
