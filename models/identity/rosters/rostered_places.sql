with students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

enrolments as (
    select * from {{ ref('enrolments') }}
),

staff_assignments as (
    select * from {{ ref('staff_assignments') }}
),

belonging as (
    select
        students.person_id,
        students.school_number
    from students
    where students.has_account
    union
    select
        students.person_id,
        enrolments.school_number
    from students
    inner join enrolments on students.student_number = enrolments.student_number
    where
        students.has_account
        -- a school somebody left, or has not come to yet, is none of theirs
        and enrolments.enrolment_status = 'active'
    union
    select
        staff.person_id,
        staff.school_number
    from staff
    union
    select
        staff.person_id,
        staff_assignments.school_number
    from staff
    inner join staff_assignments on staff.staff_key = staff_assignments.staff_key
),

people as (
    select
        students.person_id,
        'student' as role,
        students.school_number,
        students.source
    from students
    where students.has_account
    union all
    select
        staff.person_id,
        staff.role,
        staff.school_number,
        staff.source
    from staff
),

final as (
    select
        belonging.person_id,
        belonging.school_number,
        people.role,
        belonging.school_number = people.school_number as is_primary,
        people.source
    from belonging
    inner join people on belonging.person_id = people.person_id
)

select * from final
