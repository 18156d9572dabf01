select
    source.number as customer_number,
    source.name,
    source.contact_mail as mail,
    source.city,
    source._file || ':' || source._line as source
from {{ source('crm', 'customers') }} as source
