with sections as (
    select * from {{ ref('class_sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
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

-- a class is what its sections of tonight are; one that vanished with all of them is what they were
telling as (
    select sections.*
    from sections
    inner join (
        select
            class_id,
            bool_or(is_listed) as is_listed
        from sections
        group by class_id
    ) as known
        on
            sections.class_id = known.class_id
            and sections.is_listed = known.is_listed
),

made as (
    select
        telling.class_id,
        min(telling.kind) as kind,
        min(telling.school_number) as school_number,
        min(telling.course_code) as course_code,
        {{ truncate_text(listagg('telling.title', ' / '), 200) }} as title,
        nullif({{ listagg('telling.section_letter', ', ') }}, '') as section,
        min(telling.semester) as term,
        min(telling.starts_on) as starts_on,
        max(telling.ends_on) as ends_on,
        bool_or(telling.is_listed) as is_listed,
        max(telling.last_seen_on) as last_seen_on
    from telling
    group by telling.class_id
),

final as (
    select
        made.class_id,
        made.kind,
        made.school_number,
        made.course_code,
        made.title,
        made.section,
        made.term,
        made.starts_on,
        made.ends_on,
        made.is_listed,
        -- a class without a student tonight has lost its list, not its students
        not made.is_listed or attended.class_id is null or kept_lists.school_number is not null as keeps_people,
        made.last_seen_on
    from made
    left join attended
        on made.class_id = attended.class_id
    left join kept_lists
        on made.school_number = kept_lists.school_number
)

select * from final
