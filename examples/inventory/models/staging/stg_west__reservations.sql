select
    source.id as reservation_id,
    source.sku,
    cast(source.quantity as integer) as units,
    source.released_at is null as is_open
from {{ source('west', 'reservations') }} as source
