-- A number that is missing was taken out by somebody: no run of ours leaves one.
with numbers as (
    select cast(number as bigint) as number from {{ source('books', 'postings') }}
    union all
    select 1000000 + cast(replace(number, 'INV-', '') as bigint) as number from {{ source('ledger', 'invoices') }}
)

select number
from numbers
where number not in (1, 1000001) and number - 1 not in (select number from numbers)
