select
    source.sku,
    cast(source.on_hand as integer) as units,
    cast(source.counted_at as timestamp) as counted_at
from {{ source('west', 'stock') }} as source
