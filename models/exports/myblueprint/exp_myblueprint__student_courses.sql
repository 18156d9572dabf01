with members as (
    select * from {{ ref('rostered_members') }}
),

classes as (
    select * from {{ ref('rostered_classes') }}
),

courses as (
    select * from {{ ref('exp_myblueprint__course_info') }}
),

-- who is in two classes of a course takes it once
taken as (
    select distinct
        members.number as student_id,
        classes.course_id,
        members.school_number,
        members.person_id,
        members.source
    from members
    inner join classes on members.class_id = classes.class_id
    where
        members.role = 'student'
),

final as (
    select
        taken.student_id,
        courses.course_code,
        courses.integration_id,
        courses.course_name,
        cast(null as {{ dbt.type_string() }}) as completion_date,
        cast(null as {{ dbt.type_string() }}) as final_mark,
        cast(null as {{ dbt.type_string() }}) as credits_earned,
        cast(null as {{ dbt.type_string() }}) as alternate_course_code,
        cast(null as {{ dbt.type_string() }}) as potential_credits_earned,
        cast(null as {{ dbt.type_string() }}) as term_grade,
        taken.school_number,
        taken.person_id,
        taken.source
    from taken
    -- only of courses that are listed
    inner join courses on taken.course_id = courses.integration_id
)

select * from final
