select
    source.article,
    cast(source.cartons as integer) as cartons,
    cast(source.units_per_carton as integer) as units_per_carton,
    cast(source.counted_at as timestamp) as counted_at
from {{ source('east', 'bins') }} as source
