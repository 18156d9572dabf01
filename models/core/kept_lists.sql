-- lists are filled once so much of a school has a homeroom, of what it had before
{% set filled_share = 0.8 %}

with records as (
    {{ without_doubted(ref('intake_students'), 'student', 'student_number') }}
),

remembered as (
    select * from {{ ref('students_remembered') }}
    where enrolment_status = 'active'
),

night as (
    select
        *,
        {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'run_context') }}
),

-- of two spans that hold tonight the one that keeps longer counts
nights_that_keep as (
    select
        night.school_year,
        bool_or(calendar.class_lists = 'keep') as must_be_new
    from {{ ref('school_calendar') }} as calendar
    inner join night on night.as_of between calendar.starts_on and calendar.ends_on
    where calendar.population = 'student' and calendar.class_lists in ('keep', 'when_filled')
    group by night.school_year
),

before as (
    select
        remembered.school_number,
        count(*) as students,
        count(remembered.homeroom) as with_homeroom,
        count(case when remembered.homeroom_school_year >= nights_that_keep.school_year then remembered.homeroom end) as of_this_year
    from remembered
    cross join nights_that_keep
    group by remembered.school_number
),

tonight as (
    select
        records.school_number,
        count(*) as students,
        count(records.homeroom) as with_homeroom,
        count(case when records.homeroom is not null then remembered.homeroom end) as compared,
        count(case when {{ slug('records.homeroom') }} <> {{ slug('remembered.homeroom') }} then 1 end) as changed
    from records
    left join remembered
        on
            records.student_number = remembered.student_number
            and records.school_number = remembered.school_number
    where coalesce(records.enrolment_status, 'active') = 'active' and records.can_be_primary
    group by records.school_number
),

final as (
    select
        before.school_number,
        before.of_this_year * 2 > before.with_homeroom
        or coalesce(
            tonight.with_homeroom * before.students >= {{ filled_share }} * before.with_homeroom * tonight.students
            -- last year's homerooms, which stand in the records all summer, are not the next year's
            and (not nights_that_keep.must_be_new or tonight.changed * 2 >= tonight.compared),
            false
        ) as is_filled
    from before
    cross join nights_that_keep
    left join tonight on before.school_number = tonight.school_number
)

select * from final
