select
    source.number,
    source.name,
    source.room,
    cast(source.price as decimal(9, 2)) as price,
    source._file || ':' || source._line as source
from {{ source('shelf', 'things') }} as source
