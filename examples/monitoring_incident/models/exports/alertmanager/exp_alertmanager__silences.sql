-- somebody has acknowledged it: it is told to nobody else while its ticket is open
select
    incidents.incident,
    incidents.service,
    false as service_is_regex,
    incidents.cause,
    false as cause_is_regex,
    split_part(incidents.incident, '@', 2) as starts_at,
    '2099-01-01T00:00:00Z' as ends_at,
    incidents.source
from {{ ref('incidents') }} as incidents
where incidents.status in ('open', 'stalled')
