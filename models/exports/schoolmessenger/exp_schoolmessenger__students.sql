with students as (
    select * from {{ ref('rostered_students') }}
),

contacts as (
    {{ contacts_in_order(reachable=true) }}
),

final as (
    select
        students.school_number as school_id,
        students.student_number as student_id,
        students.usual_last_name as student_last_name,
        students.usual_first_name as student_first_name,
        coalesce(students.grade_code, '') as grade,
        students.homeroom as home_room,
        first_contact.relationship as contact1_relation,
        first_contact.last_name as contact1_last_name,
        first_contact.first_name as contact1_first_name,
        first_contact.home_phone as contact1_home_phone,
        first_contact.mobile_phone as contact1_cell_phone,
        first_contact.work_phone as contact1_work_phone,
        first_contact.email as contact1_email,
        second_contact.relationship as contact2_relation,
        second_contact.last_name as contact2_last_name,
        second_contact.first_name as contact2_first_name,
        second_contact.home_phone as contact2_home_phone,
        second_contact.mobile_phone as contact2_cell_phone,
        second_contact.work_phone as contact2_work_phone,
        second_contact.email as contact2_email,
        third_contact.relationship as contact3_relation,
        third_contact.last_name as contact3_last_name,
        third_contact.first_name as contact3_first_name,
        third_contact.home_phone as contact3_home_phone,
        third_contact.mobile_phone as contact3_cell_phone,
        third_contact.work_phone as contact3_work_phone,
        third_contact.email as contact3_email,
        students.person_id,
        students.source
    from students
    -- who has nobody to call is left out
    inner join contacts as first_contact
        on
            students.student_number = first_contact.student_number
            and first_contact.place = 1
    left join contacts as second_contact
        on
            students.student_number = second_contact.student_number
            and second_contact.place = 2
    left join contacts as third_contact
        on
            students.student_number = third_contact.student_number
            and third_contact.place = 3
    where
        students.is_enrolled
        -- families who asked not to be called are left out, and those of whom nothing is known
        and students.may_call
)

select * from final
