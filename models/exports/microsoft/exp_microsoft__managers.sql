with details as (
    select * from {{ ref('microsoft__details') }}
    where field = 'manager'
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
    where not deleted
),

there as (
    select * from {{ ref('stg_microsoft__managers') }}
),

-- an address nobody of ours has is left out, and nobody's manager is taken away for it; where there is nobody, none is written
final as (
    select
        details.person_id,
        managers.person_id as manager_id,
        details.school_number,
        details.source
    from details
    left join users as managers
        on lower(details.value) = managers.user_principal_name
    left join there
        on details.person_id = there.person_id
    where
        (managers.person_id is not null and managers.person_id <> details.person_id)
        or (details.value is null and there.person_id is not null)
)

select * from final
