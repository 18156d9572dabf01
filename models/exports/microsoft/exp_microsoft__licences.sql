with licences as (
    select * from {{ ref('licences') }}
    where target = 'microsoft'
),

subscriptions as (
    select * from {{ ref('stg_microsoft__subscriptions') }}
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
),

-- a licence the tenant has no subscription for cannot be given to anybody: audit.findings_tonight says so once
final as (
    select
        licences.person_id,
        licences.licence,
        -- one licence for another is a move: nobody's mailbox is without one in between
        'licence' as family,
        licences.school_number,
        licences.source
    from licences
    inner join subscriptions
        on licences.licence = subscriptions.licence
    inner join users
        on licences.person_id = users.person_id
    where not users.deleted
)

select * from final
