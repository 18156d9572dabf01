-- Per day and tax code the postings come to what was sold and given back. Where they do not, nothing is written: look at audit.drifts and the
-- documents of that day.
with

sold as (
    select day, tax_code, sum(net) as net, sum(tax) as tax
    from {{ ref('sales') }}
    group by all
),

posted as (
    select day, tax_code, sum(net) as net, sum(tax) as tax
    from {{ ref('exp_books__postings') }}
    where account <> 'payments'
    group by all
)

select
    coalesce(sold.day, posted.day) as day,
    coalesce(sold.tax_code, posted.tax_code) as tax_code,
    sold.net as sold_net,
    posted.net as posted_net
from sold
full outer join posted on posted.day = sold.day and posted.tax_code = sold.tax_code
where coalesce(sold.net, 0) <> coalesce(posted.net, 0) or coalesce(sold.tax, 0) <> coalesce(posted.tax, 0)
