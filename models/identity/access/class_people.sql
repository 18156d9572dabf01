-- who is in no group of any target is in no class of any; each target leaves out whom its own states leave out

with sections as (
    select * from {{ ref('class_sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

holders as (
    select * from {{ ref('account_holders') }}
    where is_in_groups
),

people as (
    select
        sections.class_id,
        holders.person_id,
        false as is_teacher,
        false as is_primary,
        holders.source
    from sections
    inner join section_students
        on sections.section_id = section_students.section_id
    inner join holders
        on
            section_students.student_number = holders.source_key
            and holders.population = 'student'

    union all

    select
        sections.class_id,
        holders.person_id,
        true as is_teacher,
        section_staff.is_primary,
        holders.source
    from sections
    inner join section_staff
        on sections.section_id = section_staff.section_id
    inner join holders
        on
            section_staff.staff_key = holders.source_key
            and holders.population = 'staff'
),

final as (
    select
        people.class_id,
        people.person_id,
        bool_or(people.is_teacher) as is_teacher,
        bool_or(people.is_primary) as is_primary,
        min(people.source) as source
    from people
    group by people.class_id, people.person_id
)

select * from final
