-- the tickets of ours, with the state an incident keeps in them; RT writes an unset time as 1970
select
    source.incident,
    split_part(split_part(source.incident, '@', 1), '/', 1) as service,
    split_part(split_part(source.incident, '@', 1), '/', 2) as cause,
    source.status,
    case when source.due >= '1971' then cast(source.due as timestamp) end as due_at,
    cast(source._observed_at as timestamp) as observed_at
from {{ source('rt', 'tickets') }} as source
where source.incident like '%/%@%'
