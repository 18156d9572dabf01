with students as (
    select * from {{ ref('rostered_students') }}
),

final as (
    select
        students.account_name as username,
        cast(null as {{ dbt.type_string() }}) as credit_balance,
        cast(null as {{ dbt.type_string() }}) as restricted_status,
        students.usual_first_name || ' ' || students.usual_last_name as full_name,
        students.address as email,
        students.school_name as department,
        coalesce(students.grade_code, '') as office,
        students.student_number as card_number,
        students.school_number,
        students.person_id,
        students.source
    from students
    where
        students.has_account
)

select * from final
