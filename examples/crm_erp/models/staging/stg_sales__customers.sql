select
    source.number as customer_number,
    source.name,
    source.mail,
    source.city,
    source.region,
    source.phone,
    {{ to_boolean('source.is_active') }} as is_active,
    source._file || ':' || source._line as source
from {{ source('sales', 'customers') }} as source
