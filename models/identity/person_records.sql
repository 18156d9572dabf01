with

students as (

    select * from {{ ref('students') }}

),

staff_last_seen as (

    select * from {{ ref('staff_last_seen') }}

),

staff as (

    select * from {{ ref('staff') }}

),

student_records as (

    select
        -- ids
        {{ person_id("'student'", 'students.student_number') }} as person_id,
        'student' as population,
        students.student_number as source_key,
        'student_number' as rule,

        -- names
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,

        -- state
        case students.enrolment_status
            when 'active' then 'active'
            when 'preregistered' then 'preregistered'
            else 'left'
        end as state,
        case students.enrolment_status
            when 'active' then 'enrolled'
            when 'preregistered' then 'preregistered'
            else 'withdrawn'
        end as reason,
        students.is_in_feed,

        -- place
        students.school_number,
        students.grade_code,
        students.homeroom,
        students.homeroom_teacher_id,
        cast(null as {{ dbt.type_string() }}) as staff_id,
        cast(null as {{ dbt.type_string() }}) as position,

        -- load
        students.source_file,
        students.source_line
    from students

),

-- everyone ever on staff, as last seen: staff_last_seen has already taken tonight's rows
staff_records as (

    select
        -- ids
        {{ person_id("'staff'", 'staff_last_seen.staff_key') }} as person_id,
        'staff' as population,
        staff_last_seen.staff_key as source_key,
        staff_last_seen.match_rule as rule,

        -- names
        coalesce(staff_last_seen.usual_first_name, staff_last_seen.first_name) as first_name,
        staff_last_seen.last_name,

        -- state
        case when staff_last_seen.is_active then 'active' else 'left' end as state,
        case
            when staff_last_seen.is_active then 'employed'
            when staff_last_seen.ended_on is not null then 'employment ended'
            else 'not active'
        end as reason,
        staff.staff_key is not null as is_in_feed,

        -- place
        staff_last_seen.school_number,
        cast(null as {{ dbt.type_string() }}) as grade_code,
        cast(null as {{ dbt.type_string() }}) as homeroom,
        cast(null as {{ dbt.type_string() }}) as homeroom_teacher_id,
        staff_last_seen.staff_id,
        staff_last_seen.position,

        -- load
        staff_last_seen.source_file,
        staff_last_seen.source_line
    from staff_last_seen
    left join staff
        on staff_last_seen.staff_key = staff.staff_key

),

records as (

    select * from student_records
    union all
    select * from staff_records

),

final as (

    select
        records.*,
        records.source_file || coalesce(':' || cast(records.source_line as {{ dbt.type_string() }}), '') as source
    from records

)

select * from final
