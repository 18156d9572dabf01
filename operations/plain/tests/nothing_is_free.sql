-- A thing without a price would be given away.
select number from {{ ref('things') }} where price is null or price <= 0
