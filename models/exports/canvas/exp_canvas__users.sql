with people as (
    select * from {{ ref('rostered_people') }}
),

final as (
    select
        people.person_id as user_id,
        people.address as login_id,
        people.first_name,
        people.last_name,
        people.address as email,
        'active' as status,
        people.school_number,
        people.person_id,
        people.source
    from people
)

select * from final
