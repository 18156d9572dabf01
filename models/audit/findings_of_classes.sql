-- a class nobody is there to own is told by school: it is missing to everybody in it

with states as (
    select * from {{ ref('class_states') }}
    where state = 'active'
),

classes as (
    select * from {{ ref('classes') }}
    where is_listed
),

owners as (
    select * from {{ ref('class_owners') }}
),

final as (
    select
        'class_without_owner' as code,
        '' as source,
        states.target,
        'classes' as entity,
        classes.school_number,
        min(states.class_id) as key,
        {{ problem_values({'classes': 'count(*)', 'first': 'min(states.class_id)', 'target': 'states.target'}) }} as values,
        '' as owner
    from states
    inner join classes
        on states.class_id = classes.class_id
    left join owners
        on
            states.class_id = owners.class_id
            and states.target = owners.target
    where owners.person_id is null
    group by states.target, classes.school_number
)

select * from final
