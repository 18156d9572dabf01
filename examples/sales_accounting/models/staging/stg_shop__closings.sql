select
    cast(source.day as date) as day,
    cast(source.gross as decimal(12, 2)) as gross
from {{ source('shop', 'closings') }} as source
