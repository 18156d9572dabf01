with licences as (
    select * from {{ ref('licences') }}
    where target = 'google'
),

users as (
    select * from {{ ref('exp_google__users') }}
),

final as (
    select
        licences.person_id,
        licences.licence,
        -- one licence for another is a move: nobody is without one in between
        'licence' as family,
        licences.school_number,
        licences.source
    from licences
    inner join users
        on licences.person_id = users.person_id
    where not users.deleted
)

select * from final
