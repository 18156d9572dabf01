-- combined sections are one class, under the district's own word for them; every other section is a class of its own.
-- One that vanished from the timetable is here as it was last seen: absence needs a reason

with listed as (
    select * from {{ ref('sections') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

vanished as (
    select remembered.*
    from {{ ref('sections_remembered') }} as remembered
    cross join night
    left join listed
        on remembered.section_id = listed.section_id
    where
        listed.section_id is null
        -- over for more than a year it has long been archived, and stays so
        and remembered.ends_on > night.as_of - 400
),

sections as (
    select
        listed.*,
        night.as_of as last_seen_on,
        true as is_listed
    from listed
    cross join night
    {{ union_by_name() }}
    select
        vanished.*,
        false as is_listed
    from vanished
),

combined as (
    select * from {{ ref('combined_sections') }}
),

wanted as (
    select distinct
        class_targets.kind,
        class_targets.school_number
    from {{ ref('class_targets') }} as class_targets
    where not {{ is_off("class_targets.target || '.classes'") }}
),

placed as (
    select
        sections.*,
        combined.combined,
        combined.title as combined_title,
        combined.section_letter as combined_letter
    from sections
    left join combined
        on {{ is_taught_together('sections', 'combined') }}
    where exists (
        select 1
        from wanted
        where
            wanted.kind = sections.kind
            and coalesce(wanted.school_number, sections.school_number) = sections.school_number
    )
),

-- a row for the section counts before one for its whole course
chosen as (
    {{ deduplicate('placed', 'section_id', 'combined_letter nulls last, combined') }}
),

final as (
    select
        chosen.section_id,
        case
            when chosen.combined is not null
                then
                    'combined-' || chosen.school_number || '-' || left({{ slug('chosen.combined') }}, 36)
                    || '-' || left({{ date_text('chosen.ends_on') }}, 7)
            when length({{ slug('chosen.section_id') }}) > 40
                then
                    chosen.kind || '-' || chosen.school_number || '-' || left({{ slug('chosen.section_id') }}, 30)
                    || '-' || left({{ text_hash('chosen.section_id') }}, 9)
            else chosen.kind || '-' || chosen.school_number || '-' || {{ slug('chosen.section_id') }}
        end as class_id,
        chosen.kind,
        chosen.school_number,
        chosen.course_code,
        chosen.section_letter,
        coalesce(chosen.combined_title, chosen.title) as title,
        chosen.semester,
        chosen.grade_code,
        chosen.starts_on,
        chosen.ends_on,
        chosen.is_listed,
        chosen.last_seen_on
    from chosen
)

select * from final
