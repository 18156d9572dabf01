-- A channel may never be told of more units than both warehouses counted together.
select sku, promised
from {{ ref('available') }}
where promised > west_units + east_units
