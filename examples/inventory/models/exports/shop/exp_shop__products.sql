select
    available.sku,
    available.title,
    available.price,
    available.promised as quantity,
    available.is_listed and available.promised > 0 as is_for_sale,
    available.warehouse,
    available.source
from {{ ref('available') }} as available
