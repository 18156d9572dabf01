select
    documents.document_id,
    cast('INV-{00000}' as varchar) as number,
    documents.order_number,
    documents.day,
    documents.customer,
    documents.net,
    documents.tax,
    days.held,
    orders.source
from {{ append_only_documents(ref('invoiced'), ref('stg_ledger__posted'), 'order_number', ['day', 'customer'], ['net', 'tax']) }} as documents
left join {{ ref('days') }} as days on days.day = documents.day
left join {{ ref('stg_shop__orders') }} as orders on orders.order_number = documents.order_number
