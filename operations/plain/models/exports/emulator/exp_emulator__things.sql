select
    things.number,
    things.name,
    things.price,
    things.room,
    things.source
from {{ ref('things') }} as things
