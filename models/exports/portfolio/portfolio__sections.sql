with listed as (
    select * from {{ ref('sections') }}
),

combined as (
    select * from {{ ref('combined_sections') }}
),

grades as (
    select * from {{ ref('portfolio_grades') }}
),

rules as (
    {{ portfolio_rules() }}
),

placed as (
    select
        listed.*,
        {{ slug('combined.combined') }} as combined,
        combined.title as combined_title,
        combined.section_letter as combined_letter
    from listed
    cross join rules
    left join combined
        on
            {{ is_taught_together('listed', 'combined') }}
            and rules.combined_id <> 'apart'
),

-- a row for the section counts before one for its whole course
chosen as (
    {{ deduplicate('placed', 'section_id', 'combined_letter nulls last, combined') }}
),

-- of one word and one month of the last day: the two semesters' are two classes
blended as (
    select
        chosen.school_number,
        chosen.combined,
        left({{ date_text('chosen.ends_on') }}, 7) as ends_in,
        coalesce(min(chosen.combined_title), {{ listagg('chosen.title', ' / ') }}) as title,
        -- mixed as soon as one of them is of another grade, or of none
        case
            when count(distinct coalesce(chosen.grade_code, '')) = 1 then min(chosen.grade_code)
        end as grade_code,
        min(chosen.starts_on) as starts_on,
        max(chosen.ends_on) as ends_on
    from chosen
    where chosen.combined is not null
    group by 1, 2, 3
),

sections as (
    select
        chosen.section_id as every_section_id,
        case when blended.combined is null then chosen.section_id end as section_id,
        case when blended.combined is null then chosen.timetable_id end as timetable_id,
        chosen.school_number,
        case when blended.combined is null then chosen.course_code end as course_code,
        case when blended.combined is null then chosen.section_letter end as section_letter,
        case when blended.combined is null then chosen.kind else 'combined' end as kind,
        blended.combined,
        coalesce(blended.title, chosen.title) as title,
        case when blended.combined is null then chosen.grade_code else blended.grade_code end as grade_code,
        coalesce(blended.starts_on, chosen.starts_on) as starts_on,
        coalesce(blended.ends_on, chosen.ends_on) as ends_on
    from chosen
    left join blended
        on
            chosen.school_number = blended.school_number
            and chosen.combined = blended.combined
            and left({{ date_text('chosen.ends_on') }}, 7) = blended.ends_in
),

final as (
    select
        sections.every_section_id as section_id,
        -- what tells one class from another before any id is written: two that are written alike are refused
        coalesce(
            sections.section_id,
            'combined:' || sections.school_number || ':' || sections.combined || ':' || left({{ date_text('sections.ends_on') }}, 7)
        ) as class_key,
        case sections.kind
            when 'homeroom' then {{ portfolio_words('rules.homeroom_id', 'sections') }}
            when 'combined' then {{ portfolio_words('rules.combined_id', 'sections') }}
            else {{ portfolio_words('rules.class_id', 'sections') }}
        end as class_id,
        case sections.kind
            when 'homeroom' then {{ portfolio_words('rules.homeroom_name', 'sections') }}
            when 'combined' then {{ portfolio_words('rules.combined_name', 'sections') }}
            else {{ portfolio_words('rules.class_name', 'sections') }}
        end as name,
        -- blank when the class is mixed: the vendor takes the students' own grades
        grades.grade,
        {{ portfolio_school('sections.school_number') }} as school_id,
        {{ date_text('sections.starts_on') }} as start_date,
        {{ date_text('sections.ends_on') }} as end_date,
        sections.school_number
    from sections
    cross join rules
    left join grades
        on sections.grade_code = grades.grade_code
)

select * from final
