with

-- the watchdog only says that monitoring is alive
alerts as (
    select * from {{ ref('stg_monitoring__alerts') }} where alert_name <> 'Watchdog'
),

-- 200 alerts of one cause are one incident
firing as (
    select
        service,
        coalesce(cause, alert_name) as cause,
        min(started_at) as started_at,
        count(*) as alerts,
        min(source) as source
    from alerts
    group by all
),

known as (
    select *, status in ('resolved', 'rejected', 'deleted') as is_closed from {{ ref('stg_rt__known') }}
),

-- one ticket of a cause is open at most: the oldest, should somebody have made a second
open_tickets as (
    select * from known where not is_closed
    qualify row_number() over (partition by service, cause order by incident) = 1
),

-- an alert that has fired all along since its ticket was closed by hand opens no second one
answered as (
    select incident from known where is_closed
),

joined as (
    select
        coalesce(
            open_tickets.incident,
            firing.service || '/' || firing.cause || '@' || strftime(firing.started_at, '%Y-%m-%dT%H:%M:%SZ')
        ) as incident,
        coalesce(firing.service, open_tickets.service) as service,
        coalesce(firing.cause, open_tickets.cause) as cause,
        open_tickets.status,
        open_tickets.due_at,
        open_tickets.observed_at,
        coalesce(firing.alerts, 0) as alerts,
        coalesce(firing.source, 'its ticket') as source
    from firing
    full outer join open_tickets on open_tickets.service = firing.service and open_tickets.cause = firing.cause
),

final as (
    select
        incident,
        service,
        cause,
        alerts,
        -- quiet: it is closed when it stays so for the minutes of seeds/quiet.csv; firing again it is not
        case
            when alerts > 0 then null
            else coalesce(due_at, observed_at + to_minutes(cast(quiet.minutes as integer)))
        end as due_at,
        case
            when alerts = 0 and due_at <= observed_at then 'resolved'
            else coalesce(status, 'new')
        end as status,
        source
    from joined
    cross join (select max(minutes) as minutes from {{ ref('quiet') }}) as quiet
    where incident not in (select incident from answered)
)

select * from final
