select
    source.code as customer_number,
    source.contact_phone as phone,
    cast(source.terms_credit_limit as decimal(12, 2)) as credit_limit,
    cast(source.terms_days as integer) as terms_days,
    source._file || ':' || source._line as source
from {{ source('books', 'parties') }} as source
