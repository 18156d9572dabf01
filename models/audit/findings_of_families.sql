-- numbers by school, never people: who it is stands in core.student_guardians

with lifecycle as (
    select * from {{ ref('lifecycle') }}
),

records as (
    select * from {{ ref('person_records') }}
),

students as (
    select * from {{ ref('students') }}
),

student_guardians as (
    select * from {{ ref('student_guardians') }}
),

guardians as (
    select * from {{ ref('guardians') }}
),

family_contacts as (
    select * from {{ ref('family_contacts') }}
),

active_students as (
    select
        records.source_key as student_number,
        records.school_number,
        students.may_call
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    inner join students
        on records.source_key = students.student_number
    where
        records.population = 'student'
        and records.reason <> 'merged'
        and lifecycle.record = 'active'
),

unsaid as (
    select
        active_students.school_number,
        count(*) as contacts,
        count(distinct active_students.student_number) as students,
        count(*) filter (where student_guardians.doubt = 'unsaid') as nothing_said,
        count(*) filter (where student_guardians.doubt = 'custody') as custody,
        count(*) filter (where student_guardians.doubt = 'order') as in_care
    from active_students
    inner join student_guardians
        on active_students.student_number = student_guardians.student_number
    where student_guardians.doubt is not null
    group by active_students.school_number
),

uncalled as (
    select
        active_students.school_number,
        count(*) as students
    from active_students
    where active_students.may_call is null
    group by active_students.school_number
),

shared as (
    select
        active_students.school_number,
        count(*) as contacts
    from active_students
    inner join family_contacts
        on active_students.student_number = family_contacts.student_number
    inner join guardians
        on family_contacts.guardian_id = guardians.guardian_id
    where
        family_contacts.email is distinct from guardians.email
        or family_contacts.home_phone is distinct from guardians.home_phone
        or family_contacts.mobile_phone is distinct from guardians.mobile_phone
        or family_contacts.work_phone is distinct from guardians.work_phone
    group by active_students.school_number
),

found as (
    select
        'contacts_unsaid' as code,
        unsaid.school_number,
        {{ problem_values({
            'contacts': 'unsaid.contacts',
            'students': people_counted('unsaid.students'),
            'unsaid': 'unsaid.nothing_said',
            'custody': 'unsaid.custody',
            'order': 'unsaid.in_care',
        }) }} as values
    from unsaid

    union all

    select
        'call_permission_unsaid' as code,
        uncalled.school_number,
        {{ problem_values({'students': people_counted('uncalled.students')}) }} as values
    from uncalled

    union all

    select
        'contact_way_barred' as code,
        shared.school_number,
        {{ problem_values({'contacts': 'shared.contacts'}) }} as values
    from shared
),

final as (
    select
        found.code,
        '' as source,
        '' as target,
        'guardians' as entity,
        found.school_number,
        '' as key,
        found.values,
        '' as owner
    from found
)

select * from final
