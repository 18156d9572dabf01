with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.student_number as student_id,
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,
        case when students.gender_code in ('M', 'F') then students.gender_code else 'N' end as gender,
        {{ date_text('students.date_of_birth') }} as date_of_birth,
        case
            when students.grade = 'KG' then '0'
            when {{ regexp_like('students.grade', '^[0-9]+$') }} then ltrim(students.grade, '0')
            else ''
        end as current_grade,
        students.school_number as current_school_code,
        students.next_school_number as pre_reg_school_code,
        cast(null as {{ dbt.type_string() }}) as state_prov_number,
        students.address as email,
        students.person_id,
        students.source
    from students
    where
        students.has_account
)

select * from final
