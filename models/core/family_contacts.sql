{%- set ways = ['email', 'home_phone', 'mobile_phone', 'work_phone'] %}

with student_guardians as (
    select * from {{ ref('student_guardians') }}
),

guardians as (
    select * from {{ ref('guardians') }}
),

barred_ways as (
    select * from {{ ref('barred_ways') }}
),

final as (
    select
        student_guardians.student_number,
        student_guardians.guardian_id,
        student_guardians.relationship,
        student_guardians.contact_priority,
        student_guardians.lives_with_student,
        guardians.first_name,
        guardians.last_name,
        {%- for way in ways %}
        case
            -- where somebody is reached who may not be told, nobody is told
            when not exists (
                select 1
                from barred_ways
                where
                    barred_ways.student_number = student_guardians.student_number
                    and barred_ways.way = lower(guardians.{{ way }})
            ) then guardians.{{ way }}
        end as {{ way }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from student_guardians
    inner join guardians
        on student_guardians.guardian_id = guardians.guardian_id
    -- unknown is no
    where student_guardians.is_guardian and not student_guardians.is_barred
)

select * from final
