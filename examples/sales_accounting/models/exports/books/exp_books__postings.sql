select
    documents.document_id,
    cast(null as bigint) as number,
    documents.about,
    documents.order_number,
    documents.day,
    documents.account,
    documents.tax_code,
    documents.net,
    documents.tax,
    days.held,
    orders.source
from {{ append_only_documents(ref('entries'), ref('stg_books__posted'), 'about', ['order_number', 'day', 'account', 'tax_code'], ['net', 'tax']) }} as documents
left join {{ ref('days') }} as days on days.day = documents.day
left join {{ ref('stg_shop__orders') }} as orders on orders.order_number = documents.order_number
