with students as (
    select * from {{ ref('rostered_students') }}
),

contacts as (
    {{ contacts_in_order() }}
),

final as (
    select
        students.school_name,
        students.school_number,
        students.legal_first_name as first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        students.legal_last_name as last_name,
        students.student_number,
        cast(null as {{ dbt.type_string() }}) as address,
        cast(null as {{ dbt.type_string() }}) as city,
        cast(null as {{ dbt.type_string() }}) as province,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        cast(null as {{ dbt.type_string() }}) as phone,
        students.address as email,
        students.homeroom,
        coalesce(students.grade_code, '') as grade,
        first_contact.first_name as guardian1_first_name,
        first_contact.last_name as guardian1_last_name,
        second_contact.first_name as guardian2_first_name,
        second_contact.last_name as guardian2_last_name,
        -- the vendor takes no row without a birth date
        coalesce(students.date_of_birth, cast('1900-01-01' as date)) as date_of_birth,
        cast(null as {{ dbt.type_string() }}) as gender,
        coalesce(first_contact.email, second_contact.email) as guardian_email,
        students.usual_first_name as preferred_first_name,
        students.usual_last_name as preferred_last_name,
        students.person_id,
        students.source
    from students
    left join contacts as first_contact
        on
            students.student_number = first_contact.student_number
            and first_contact.place = 1
    left join contacts as second_contact
        on
            students.student_number = second_contact.student_number
            and second_contact.place = 2
    where
        students.is_enrolled
)

select * from final
