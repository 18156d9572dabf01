select
    source.fingerprint,
    source.labels_alertname as alert_name,
    source.labels_service as service,
    source.labels_cause as cause,
    cast(source.startsat as timestamp) as started_at,
    source._file || ':' || source._line as source
from {{ source('monitoring', 'alerts') }} as source
