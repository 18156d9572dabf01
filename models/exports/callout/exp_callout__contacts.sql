with students as (
    select * from {{ ref('students') }}
),

contacts as (
    {{ contacts_in_order(reachable=true) }}
),

records as (
    select * from {{ ref('person_records') }}
),

callable as (
    select
        students.student_number,
        students.school_number,
        students.usual_last_name,
        students.usual_first_name,
        students.grade_code,
        students.homeroom,
        contacts.last_name as contact_last_name,
        contacts.first_name as contact_first_name,
        contacts.relationship,
        contacts.home_phone,
        contacts.mobile_phone,
        contacts.work_phone,
        contacts.email,
        -- counted from 1 without gaps, so that the order is the vendor's key
        contacts.place as contact_priority
    from students
    -- only who may be told about the child: an absence is their business
    inner join contacts
        on students.student_number = contacts.student_number
    where
        -- families who asked not to be called are left out, here too: who is not in the file cannot be called by mistake
        students.may_call
        and students.enrolment_status = 'active'
        -- students without a school are left out: the vendor calls in a school's name, and one such row would keep the file back
        and students.school_number is not null
),

final as (
    select
        callable.school_number as school_id,
        callable.student_number as student_id,
        callable.usual_last_name as student_last_name,
        {{ first_name_or_placeholder('callable.usual_first_name') }} as student_first_name,
        coalesce(callable.grade_code, '') as grade,
        coalesce(callable.homeroom, '') as home_room,
        coalesce(callable.contact_last_name, '') as contact_last_name,
        coalesce(callable.contact_first_name, '') as contact_first_name,
        coalesce(callable.relationship, '') as contact_relation,
        cast(callable.contact_priority as {{ dbt.type_string() }}) as contact_priority,
        coalesce(callable.home_phone, '') as contact_home_phone,
        coalesce(callable.mobile_phone, '') as contact_mobile_phone,
        coalesce(callable.work_phone, '') as contact_work_phone,
        coalesce(callable.email, '') as contact_email,
        records.person_id,
        callable.school_number,
        records.source
    from callable
    -- a number that was merged into another has two persons: the first one's record, and the account given before
    inner join records
        on
            callable.student_number = records.source_key
            and records.population = 'student'
            and records.reason <> 'merged'
)

select * from final
