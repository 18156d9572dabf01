select
    source.sku,
    source.label,
    cast(source.price as decimal(9, 2)) as price,
    {{ to_boolean('source.sold') }} as is_sold,
    cast(source.sold_from as date) as sold_from,
    source._file || ':' || source._line as source
from {{ source('stock', 'goods') }} as source
