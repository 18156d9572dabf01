-- Two customers of one number would be one party: whoever made the second one gives it a number of its own.
select customer_number
from {{ ref('stg_sales__customers') }}
group by customer_number
having count(*) > 1
