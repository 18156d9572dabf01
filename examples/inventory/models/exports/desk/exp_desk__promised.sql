select
    available.sku,
    cast(available.west_units as integer) as west_units,
    cast(available.east_units as integer) as east_units,
    cast(available.reserved_units as integer) as reserved_units,
    cast(available.sold_units as integer) as sold_units,
    available.promised,
    available.warehouse,
    available.source
from {{ ref('available') }} as available
