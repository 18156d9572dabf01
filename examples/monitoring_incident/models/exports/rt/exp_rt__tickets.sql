select
    incidents.incident,
    'Alerts of ' || incidents.service || ': ' || incidents.cause as content,
    incidents.status,
    coalesce(strftime(incidents.due_at, '%Y-%m-%dT%H:%M:%SZ'), '1970-01-01T00:00:00Z') as due,
    incidents.service,
    incidents.source
from {{ ref('incidents') }} as incidents
