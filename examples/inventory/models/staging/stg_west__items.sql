select
    source.sku,
    source.title,
    cast(source.price as decimal(9, 2)) as price,
    {{ to_boolean('source.is_listed') }} as is_listed,
    source._file || ':' || source._line as source
from {{ source('west', 'items') }} as source
