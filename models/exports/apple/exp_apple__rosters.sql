with members as (
    select * from {{ ref('rostered_members') }}
),

final as (
    select
        {{ regex_replace('members.class_id', '[^A-Za-z0-9]+', '-') }} || '-' || members.person_id as roster_id,
        {{ regex_replace('members.class_id', '[^A-Za-z0-9]+', '-') }} as class_id,
        members.person_id as student_id,
        members.person_id,
        members.source,
        members.school_number
    from members
    where
        members.role = 'student'
)

select * from final
