-- not every alert of a storm is told: the ticket says when there are more than each step
select
    incidents.incident || '#' || steps.alerts as event,
    incidents.incident,
    steps.alerts || ' alerts or more have joined' as content,
    incidents.source
from {{ ref('incidents') }} as incidents
inner join {{ ref('steps') }} as steps on steps.alerts <= incidents.alerts
