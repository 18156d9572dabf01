with students as (
    select * from {{ ref('rostered_students') }}
),

known as (
    select * from {{ ref('stg_myedbc_accounts__students') }}
),

final as (
    select
        students.student_number,
        students.address as email,
        students.account_name,
        students.student_number as card_number,
        students.school_number,
        students.person_id,
        students.source
    from students
    -- whom the system does not have it is told nothing about: an import would make them
    inner join known on students.student_number = known.student_number
    where
        students.has_account
)

select * from final
