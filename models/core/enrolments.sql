with students as (
    {{ without_doubted(ref('intake_students'), 'student', 'student_number') }}
),

problems as (
    select * from {{ ref('intake_problems') }}
),

feed_loads as (
    select * from {{ ref('feed_loads') }}
),

held_loads as (
    select * from {{ ref('held_loads') }}
),

doubted_records as (
    select * from {{ ref('doubted_records') }}
),

absence_policy as (
    select * from {{ ref('absence_policy') }}
),

students_remembered as (
    select * from {{ ref('students_remembered') }}
),

enrolments_remembered as (
    select * from {{ ref('enrolments_remembered') }}
),

-- where every student was enrolled when last seen
remembered as (
    select
        students_remembered.student_number,
        students_remembered.school_number,
        true as is_primary,
        students_remembered.enrolment_status,
        students_remembered.grade_code,
        students_remembered.homeroom,
        students_remembered.admitted_on,
        students_remembered.withdrawn_on
    from students_remembered
    union all
    select
        enrolments_remembered.student_number,
        enrolments_remembered.school_number,
        false as is_primary,
        enrolments_remembered.enrolment_status,
        enrolments_remembered.grade_code,
        enrolments_remembered.homeroom,
        enrolments_remembered.admitted_on,
        enrolments_remembered.withdrawn_on
    from enrolments_remembered
    inner join students_remembered
        on
            enrolments_remembered.student_number = students_remembered.student_number
            and enrolments_remembered.school_number <> students_remembered.school_number
),

known as (
    select
        students.*,
        bool_or(coalesce(students.enrolment_status in ('active', 'preregistered'), false)) over (
            partition by students.student_number
        ) as is_enrolled_somewhere
    from students
),

-- a value nobody can read takes nothing away: the one of the last good night stays
resolved as (
    select
        known.student_number,
        known.school_number,
        known.home_school_number,
        known.can_be_primary,
        known.homeroom,
        known.admitted_on,
        known.withdrawn_on,
        coalesce(known.grade_code, same_school.grade_code, students_remembered.grade_code) as grade_code,
        coalesce(
            known.enrolment_status,
            same_school.enrolment_status,
            case when not known.is_enrolled_somewhere then students_remembered.enrolment_status end,
            'inactive'
        ) as enrolment_status
    from known
    left join remembered as same_school
        on
            known.student_number = same_school.student_number
            and known.school_number = same_school.school_number
    left join students_remembered on known.student_number = students_remembered.student_number
),

ranked as (
    select
        resolved.*,
        row_number() over (
            partition by resolved.student_number
            order by
                {{ enrolment_rank('resolved.enrolment_status') }} asc,
                case when resolved.can_be_primary then 1 else 2 end asc,
                case when resolved.school_number = resolved.home_school_number then 1 else 2 end asc,
                resolved.admitted_on desc nulls last,
                resolved.school_number asc
        ) as position
    from resolved
),

tonight as (
    select
        ranked.student_number,
        ranked.school_number,
        ranked.position = 1 as is_primary,
        ranked.enrolment_status,
        ranked.grade_code,
        ranked.homeroom,
        ranked.admitted_on,
        ranked.withdrawn_on
    from ranked
),

-- listed tonight, but in a row no school can be read from, or nobody knows whose it is: that is no absence
unplaced as (
    select problems.key as student_number
    from problems
    where problems.code = 'student_without_school'
    union
    select doubted_records.held_key as student_number
    from doubted_records
    where doubted_records.population = 'student'
),

together as (
    {{ with_the_vanished('tonight', 'remembered', 'student_number') }}
),

-- who is not in tonight's feed is still enrolled where last seen, until as many good feeds as the district asks for have said
-- the same. A row of theirs that was rejected is no absence either, and a feed in which their school was held is no good one
final as (
    select
        {{ all_but('together', ['enrolment_status', 'is_in_feed']) }},
        case
            when
                not together.is_in_feed
                and unplaced.student_number is null
                and not {{ is_rejected('feed_loads.latest_rejected_keys', 'together.student_number') }}
                and feed_loads.good_loads_since - coalesce(held_loads.held_loads_since, 0) >= absence_policy.good_feeds_before_left
                then 'inactive'
            else together.enrolment_status
        end as enrolment_status
    from together
    left join students_remembered on together.student_number = students_remembered.student_number
    left join unplaced on together.student_number = unplaced.student_number
    left join feed_loads on students_remembered.source_file = feed_loads.source_file
    left join held_loads
        on
            students_remembered.source_file = held_loads.source_file
            and students_remembered.school_number = held_loads.school_number
    left join absence_policy on absence_policy.population = 'student'
)

select * from final
