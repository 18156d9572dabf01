select
    customers.customer_number,
    customers.name,
    customers.mail,
    customers.city,
    customers.phone,
    customers.is_active,
    customers.region,
    customers.source
from {{ ref('stg_sales__customers') }} as customers
