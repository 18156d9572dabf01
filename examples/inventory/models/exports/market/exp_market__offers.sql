select
    available.sku,
    available.title,
    available.price,
    available.promised as quantity,
    available.source
from {{ ref('available') }} as available
-- what cannot be promised is left out: the marketplace fines whoever sells and does not send
where available.is_listed and available.promised > 0
