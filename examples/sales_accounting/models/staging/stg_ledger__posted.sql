-- the invoices that were made, as the rule of documents wants them
select
    source.document_id,
    source.order_number,
    cast(source.day as date) as day,
    source.customer,
    cast(source.net as decimal(12, 2)) as net,
    cast(source.tax as decimal(12, 2)) as tax
from {{ source('ledger', 'invoices') }} as source
