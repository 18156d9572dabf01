select
    customers.customer_number,
    parties.phone,
    parties.credit_limit,
    parties.terms_days,
    customers.region,
    parties.source
from {{ ref('stg_books__parties') }} as parties
-- a party the CRM does not have is a supplier or a bank, and none of its customers
inner join {{ ref('stg_sales__customers') }} as customers
    on customers.customer_number = parties.customer_number
