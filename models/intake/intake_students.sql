with enrolments as (
    {{ records_by_precedence('students') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- schools that will have closed, or will stand elsewhere, on the day that is rehearsed
moving_schools as (
    select
        events.school_number,
        events.to_school_number,
        events.starts_on
    from {{ ref('district_events') }} as events
    inner join night
        on
            events.starts_on > night.data_as_of
            and events.starts_on <= night.as_of
            and (events.event = 'closes' or events.ends_on >= night.as_of)
    where events.event in ('closes', 'moves') and events.to_school_number is not null
),

moved_schools as (
    {{ deduplicate('moving_schools', 'school_number', 'starts_on desc, to_school_number') }}
),

ranked as (
    select
        enrolments.*,
        {{ enrolment_rank('enrolments.enrolment_status') }} as status_rank
    from enrolments
),

-- a school that lists a student twice means one enrolment: the better status, then the later admission
one_per_enrolment as (
    {{ deduplicate(
        'ranked', 'student_number, school_number', 'precedence, status_rank, admitted_on desc nulls last, source_line'
    ) }}
),

-- in a rehearsal the clock is ahead of the records: pre-registered students have begun, and past a rollover everybody who
-- attends has moved up or graduated. On every other night both days are the same and nothing is foreseen
foreseen as (
    select
        one_per_enrolment.*,
        night.data_as_of < night.as_of
        and one_per_enrolment.enrolment_status = 'preregistered'
        and one_per_enrolment.admitted_on <= night.as_of as has_begun,
        coalesce(
            night.data_as_of < night.rolled_over_on
            and one_per_enrolment.enrolment_status = 'active'
            and count(*) over (partition by one_per_enrolment.student_number) = 1,
            false
        ) as has_moved_up,
        night.rolled_over_on,
        {{ next_grade('one_per_enrolment.grade_code') }} as next_grade_code
    from one_per_enrolment
    cross join night
),

placed as (
    select
        foreseen.*,
        case
            when foreseen.has_moved_up then coalesce(foreseen.next_school_number, foreseen.school_number)
            else foreseen.school_number
        end as place
    from foreseen
),

final as (
    select
        {{ all_but('placed', [
            'school_number', 'next_school_number', 'usual_first_name', 'usual_last_name', 'grade_code', 'homeroom',
            'homeroom_teacher_id', 'homeroom_teacher_name', 'enrolment_status', 'withdrawn_on', 'precedence', 'status_rank',
            'has_begun', 'has_moved_up', 'rolled_over_on', 'next_grade_code', 'place',
        ]) }},
        case
            when elsewhere.student_number is null then coalesce(moved_schools.to_school_number, placed.place)
            else placed.place
        end as school_number,
        case when not placed.has_moved_up then placed.next_school_number end as next_school_number,
        -- a person with one name has it as the last name: no usual first name is filled in from anywhere
        coalesce(placed.usual_first_name, placed.legal_first_name) as usual_first_name,
        coalesce(placed.usual_last_name, placed.legal_last_name) as usual_last_name,
        case
            when placed.has_moved_up and placed.next_grade_code <> 'graduated' then placed.next_grade_code
            else placed.grade_code
        end as grade_code,
        -- next year's homerooms are not known yet
        case when not placed.has_moved_up then placed.homeroom end as homeroom,
        case when not placed.has_moved_up then placed.homeroom_teacher_id end as homeroom_teacher_id,
        case when not placed.has_moved_up then placed.homeroom_teacher_name end as homeroom_teacher_name,
        case
            when placed.has_begun then 'active'
            when placed.has_moved_up and placed.next_grade_code = 'graduated' then 'inactive'
            else placed.enrolment_status
        end as enrolment_status,
        case
            when placed.has_moved_up and placed.next_grade_code = 'graduated' then placed.rolled_over_on
            else placed.withdrawn_on
        end as withdrawn_on
    from placed
    left join moved_schools on placed.place = moved_schools.school_number
    -- who attends both already keeps two enrolments
    left join placed as elsewhere
        on
            placed.student_number = elsewhere.student_number
            and moved_schools.to_school_number = elsewhere.place
)

select * from final
