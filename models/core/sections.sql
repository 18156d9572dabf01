with timetable as (
    select * from {{ ref('intake_sections') }}
),

courses as (
    select * from {{ ref('intake_courses') }}
),

pseudo_courses as (
    select * from {{ ref('pseudo_courses') }}
),

students as (
    select * from {{ ref('students') }}
),

grades as (
    select * from {{ ref('grades') }}
),

-- what stood in lists the night before
remembered as (
    select distinct section_id from {{ ref('section_students_remembered') }}
),

kept_nights as (
    select count(*) > 0 as lists_are_kept from {{ ref('kept_lists') }}
),

night as (
    select
        *,
        {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'run_context') }}
),

classes as (
    select
        timetable.timetable_id,
        timetable.school_number,
        timetable.course_code,
        timetable.section_letter,
        coalesce(courses.title, timetable.course_code) as title,
        timetable.semester,
        courses.grade_level as grade_code,
        -- a class that says no year and was there before the summer keeps the one it had
        coalesce(
            timetable.school_year,
            case when kept_nights.lists_are_kept and remembered.section_id is not null then night.school_year - 1 end,
            night.school_year
        ) as school_year
    from timetable
    cross join night
    cross join kept_nights
    left join remembered on timetable.timetable_id || '_' || (night.school_year - 1) = remembered.section_id
    left join courses
        on
            timetable.school_number = courses.school_number
            and timetable.course_code = courses.course_code
    left join pseudo_courses on upper(timetable.course_code) = upper(pseudo_courses.course_code)
    where pseudo_courses.course_code is null
),

homerooms as (
    select
        {{ homeroom_section_id('students.school_number', 'students.homeroom', 'students.homeroom_school_year') }} as section_id,
        students.school_number,
        min(students.homeroom) as title,
        case when count(distinct students.homeroom_grade_code) = 1 then min(students.homeroom_grade_code) end as grade_code,
        min(students.homeroom_school_year) as school_year
    from students
    inner join grades on students.homeroom_grade_code = grades.grade_text
    where
        students.enrolment_status = 'active'
        and grades.is_k_to_7
        and {{ slug('students.homeroom') }} is not null
    group by 1, 2
),

all_sections as (
    select
        classes.timetable_id || '_' || classes.school_year as section_id,
        classes.timetable_id,
        classes.school_number,
        classes.course_code,
        classes.section_letter,
        classes.title,
        'class' as kind,
        classes.semester,
        classes.grade_code,
        classes.school_year
    from classes
    union all
    select
        homerooms.section_id,
        cast(null as {{ dbt.type_string() }}) as timetable_id,
        homerooms.school_number,
        cast(null as {{ dbt.type_string() }}) as course_code,
        cast(null as {{ dbt.type_string() }}) as section_letter,
        homerooms.title,
        'homeroom' as kind,
        cast(null as {{ dbt.type_string() }}) as semester,
        homerooms.grade_code,
        homerooms.school_year
    from homerooms
),

terms as (
    select * from {{ ref('section_terms') }}
),

-- the row FY is of whatever has no semester that is listed
dated as (
    select
        all_sections.*,
        coalesce(terms.first_day, whole_year.first_day) as first_day,
        coalesce(terms.last_day, whole_year.last_day) as last_day
    from all_sections
    left join terms
        on all_sections.semester = terms.semester
    left join terms as whole_year
        on whole_year.semester = 'FY'
),

final as (
    select
        dated.section_id,
        dated.timetable_id,
        dated.school_number,
        dated.course_code,
        dated.section_letter,
        dated.title,
        dated.kind,
        dated.semester,
        dated.grade_code,
        -- a school year ends in the year it is called after, and begins in July of the one before
        cast(
            dated.school_year - (case when dated.first_day >= '07' then 1 else 0 end) || '-' || dated.first_day as date
        ) as starts_on,
        cast(
            dated.school_year - (case when dated.last_day >= '07' then 1 else 0 end) || '-' || dated.last_day as date
        ) as ends_on
    from dated
)

select * from final
