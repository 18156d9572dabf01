with timetable as (
    select * from {{ ref('intake_section_staff') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

students as (
    select * from {{ ref('students') }}
),

sections as (
    select * from {{ ref('sections') }}
),

staff as (
    select * from {{ ref('staff') }}
),

staff_remembered as (
    select * from {{ ref('staff_remembered') }}
),

matches as (
    select * from {{ ref('staff_matches') }}
),

-- a name stands for a person only where one person at the school has it
names_at_school as (
    select
        assignments.school_number,
        {{ name_key("assignments.last_name || coalesce(assignments.first_name, '')") }} as teacher_name,
        min(matches.staff_key) as staff_key
    from assignments
    inner join matches on assignments.sis_key = matches.sis_key
    group by 1, 2
    having count(distinct matches.staff_key) = 1
),

-- who had the id last
remembered as (
    {{ deduplicate('staff_remembered', 'staff_id', 'last_seen_on desc, staff_key') }}
),

-- a teacher in no staff feed tonight keeps the classes the timetable still gives them
known_staff as (
    {{ with_the_vanished('staff', 'remembered', 'staff_id') }}
),

class_teachers as (
    select
        sections.section_id,
        timetable.school_number,
        timetable.staff_id,
        timetable.teacher_name,
        timetable.is_primary
    from timetable
    inner join sections on timetable.timetable_id = sections.timetable_id
),

-- students who vanished vote as last seen
homeroom_votes as (
    select
        {{ homeroom_section_id('students.school_number', 'students.homeroom', 'students.homeroom_school_year') }} as section_id,
        students.school_number,
        students.homeroom_teacher_id as staff_id,
        students.homeroom_teacher_name as teacher_name,
        count(*) as votes
    from students
    where
        students.enrolment_status = 'active'
        and coalesce(students.homeroom_teacher_id, students.homeroom_teacher_name) is not null
    group by 1, 2, 3, 4
),

-- where two teachers share a homeroom, the one most of its students name is the primary
homeroom_teachers as (
    select
        homeroom_votes.section_id,
        homeroom_votes.school_number,
        homeroom_votes.staff_id,
        homeroom_votes.teacher_name,
        row_number() over (
            partition by homeroom_votes.section_id
            order by homeroom_votes.votes desc, homeroom_votes.staff_id asc nulls last, homeroom_votes.teacher_name asc
        ) = 1 as is_primary
    from homeroom_votes
),

teachers as (
    select * from class_teachers
    union all
    select * from homeroom_teachers
),

final as (
    select
        sections.section_id,
        coalesce(known_staff.staff_key, names_at_school.staff_key) as staff_key,
        bool_or(teachers.is_primary) as is_primary,
        sections.school_number
    from teachers
    inner join sections on teachers.section_id = sections.section_id
    left join known_staff on teachers.staff_id = known_staff.staff_id
    left join names_at_school
        on
            teachers.staff_id is null
            and teachers.school_number = names_at_school.school_number
            and {{ name_key('teachers.teacher_name') }} = names_at_school.teacher_name
    -- a teacher nobody on staff answers to is in feed_problems
    where coalesce(known_staff.staff_key, names_at_school.staff_key) is not null
    group by 1, 2, 4
)

select * from final
