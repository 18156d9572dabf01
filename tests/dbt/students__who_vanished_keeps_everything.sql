with vanished as (
    select
        students.student_number,
        students.last_seen_on
    from {{ ref('students') }} as students
    where
        not students.is_in_feed
        and students.enrolment_status <> 'inactive'
),

kept_classes as (
    select
        last_seen.student_number,
        last_seen.section_id as kept
    from {{ ref('section_students_remembered') }} as last_seen
    inner join vanished
        on
            last_seen.student_number = vanished.student_number
            and last_seen.last_seen_on = vanished.last_seen_on
    -- a class the school no longer has cannot be kept
    inner join {{ ref('sections') }} as sections on last_seen.section_id = sections.section_id
),

kept_schools as (
    select
        last_seen.student_number,
        last_seen.school_number as kept
    from {{ ref('enrolments_remembered') }} as last_seen
    inner join vanished
        on
            last_seen.student_number = vanished.student_number
            and last_seen.last_seen_on = vanished.last_seen_on
),

kept_families as (
    select distinct
        last_seen.student_number,
        'guardian' as kept
    from {{ ref('student_guardians_remembered') }} as last_seen
    inner join vanished
        on
            last_seen.student_number = vanished.student_number
            and last_seen.last_seen_on = vanished.last_seen_on
)

select kept_classes.student_number, kept_classes.kept
from kept_classes
left join {{ ref('section_students') }} as section_students
    on
        kept_classes.student_number = section_students.student_number
        and kept_classes.kept = section_students.section_id
where section_students.section_id is null
union all
select kept_schools.student_number, kept_schools.kept
from kept_schools
left join {{ ref('enrolments') }} as enrolments
    on
        kept_schools.student_number = enrolments.student_number
        and kept_schools.kept = enrolments.school_number
where coalesce(enrolments.enrolment_status, 'inactive') = 'inactive'
union all
select kept_families.student_number, kept_families.kept
from kept_families
left join {{ ref('student_guardians') }} as student_guardians on kept_families.student_number = student_guardians.student_number
where student_guardians.student_number is null
