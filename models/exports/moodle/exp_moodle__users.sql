with people as (
    select * from {{ ref('rostered_people') }}
),

final as (
    select
        lower(people.address) as username,
        people.first_name as firstname,
        people.last_name as lastname,
        people.address as email,
        people.person_id as idnumber,
        people.school_number,
        people.person_id,
        people.source
    from people
)

select * from final
