-- Per day the invoices come to what was sold. Where they do not, nothing is written.
select coalesce(sold.day, made.day) as day
from (select day, sum(net + tax) as gross from {{ ref('sales') }} where account = 'sales' group by day) as sold
full outer join (select day, sum(net + tax) as gross from {{ ref('exp_ledger__invoices') }} group by day) as made on made.day = sold.day
where coalesce(sold.gross, 0) <> coalesce(made.gross, 0)
