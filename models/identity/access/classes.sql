-- a class that vanished from the timetable stays as it was last seen until its own end: absence needs a reason

with sections as (
    select * from {{ ref('class_sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

remembered as (
    select * from {{ ref('classes_remembered') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- between school years lists are empty or half made: nobody is taken from a class of a school by them
kept_lists as (
    select * from {{ ref('kept_lists') }}
    where not is_filled
),

attended as (
    select distinct sections.class_id
    from sections
    inner join section_students
        on sections.section_id = section_students.section_id
),

tonight as (
    select
        sections.class_id,
        min(sections.kind) as kind,
        min(sections.school_number) as school_number,
        min(sections.course_code) as course_code,
        {{ truncate_text(listagg('sections.title', ' / '), 200) }} as title,
        nullif({{ listagg('sections.section_letter', ', ') }}, '') as section,
        min(sections.semester) as term,
        min(sections.starts_on) as starts_on,
        max(sections.ends_on) as ends_on
    from sections
    group by sections.class_id
),

final as (
    select
        tonight.*,
        true as is_listed,
        -- a class without a student tonight has lost its list, not its students
        attended.class_id is null or kept_lists.school_number is not null as keeps_people,
        night.as_of as last_seen_on
    from tonight
    cross join night
    left join attended
        on tonight.class_id = attended.class_id
    left join kept_lists
        on tonight.school_number = kept_lists.school_number

    union all

    select
        remembered.class_id,
        remembered.kind,
        remembered.school_number,
        remembered.course_code,
        remembered.title,
        remembered.section,
        remembered.term,
        remembered.starts_on,
        remembered.ends_on,
        false as is_listed,
        true as keeps_people,
        remembered.last_seen_on
    from remembered
    cross join night
    left join tonight
        on remembered.class_id = tonight.class_id
    where
        tonight.class_id is null
        -- over for more than a year it has long been archived, and stays so
        and remembered.ends_on > night.as_of - 400
)

select * from final
