-- members are the people whose state keeps them in groups (seed lifecycle_states): preregistered students get their
-- account early and their groups on the first day, and people who left are in none. People without a school are in no school's
-- groups, and may be in those of the district

with holders as (
    select * from {{ ref('account_holders') }}
),

enrolments as (
    select * from {{ ref('enrolments') }}
),

assignments as (
    select * from {{ ref('staff_assignments') }}
),

sections as (
    select * from {{ ref('sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

section_staff as (
    select * from {{ ref('section_staff') }}
),

grants as (
    select * from {{ ref('group_grants') }}
),

rules as (
    select * from {{ ref('group_rules') }}
),

kinds_wanted as (
    select distinct rule from {{ ref('group_targets') }}
),

active_students as (
    select *
    from holders
    where
        population = 'student'
        and is_in_groups
        and school_number is not null
),

active_staff as (
    select *
    from holders
    where
        population = 'staff'
        and is_in_groups
        and school_number is not null
),

-- a student enrolled at two schools belongs to the student body of both
student_schools as (
    select
        active_students.person_id,
        active_students.school_number,
        active_students.source
    from active_students

    union

    select
        active_students.person_id,
        enrolments.school_number,
        active_students.source
    from active_students
    inner join enrolments
        on active_students.source_key = enrolments.student_number
    where enrolments.enrolment_status = 'active'
),

staff_schools as (
    select
        active_staff.person_id,
        active_staff.school_number,
        active_staff.source
    from active_staff

    union

    select
        active_staff.person_id,
        assignments.school_number,
        active_staff.source
    from active_staff
    inner join assignments
        on active_staff.source_key = assignments.staff_key
),

homerooms as (
    select
        active_students.*,
        {{ group_slug('active_students.homeroom') }} as homeroom_slug
    from active_students
),

-- the homeroom's teacher is the one the students' records name; two names in one homeroom make two owners
homeroom_teachers as (
    select
        homerooms.school_number,
        homerooms.homeroom_slug,
        homerooms.homeroom,
        active_staff.person_id,
        active_staff.source
    from homerooms
    inner join active_staff
        on homerooms.homeroom_teacher_id = active_staff.staff_id
    where homerooms.homeroom_slug is not null
),

-- class groups are made only where a target wants them: there are as many as there are classes
section_people as (
    select
        'section-' || sections.school_number || '-' || {{ group_slug('sections.section_id') }} as group_id,
        sections.school_number,
        coalesce(sections.title, sections.section_id) as section_name,
        active_students.person_id,
        false as is_owner,
        active_students.source
    from sections
    inner join section_students
        on sections.section_id = section_students.section_id
    inner join active_students
        on section_students.student_number = active_students.source_key
    inner join kinds_wanted
        on kinds_wanted.rule = 'section'
    where sections.kind = 'class'

    union all

    select
        'section-' || sections.school_number || '-' || {{ group_slug('sections.section_id') }} as group_id,
        sections.school_number,
        coalesce(sections.title, sections.section_id) as section_name,
        active_staff.person_id,
        true as is_owner,
        active_staff.source
    from sections
    inner join section_staff
        on sections.section_id = section_staff.section_id
    inner join active_staff
        on section_staff.staff_key = active_staff.source_key
    inner join kinds_wanted
        on kinds_wanted.rule = 'section'
    where sections.kind = 'class'
),

-- people as seed group_grants sees them: once per school they belong to
placed_people as (
    select
        holders.person_id,
        holders.population,
        holders.source_key,
        coalesce(student_schools.school_number, staff_schools.school_number) as school_number,
        holders.grade_code,
        holders.position,
        holders.source
    from holders
    left join student_schools
        on holders.person_id = student_schools.person_id
    left join staff_schools
        on holders.person_id = staff_schools.person_id
    where holders.is_in_groups
),

granted as (
    select
        grants.rule,
        case when rules.per = 'school' then placed_people.school_number end as school_number,
        coalesce(grants.part, '') as part,
        {{ group_slug('grants.part') }} as part_slug,
        placed_people.person_id,
        grants.role = 'owner' as is_owner,
        grants.role = 'manager' as is_manager,
        placed_people.source
    from placed_people
    inner join grants
        on {{ rule_fits('grants', 'placed_people') }}
    inner join rules
        on grants.rule = rules.rule
    where
        coalesce(grants.source_key, placed_people.source_key) = placed_people.source_key
        and (rules.per = 'district' or placed_people.school_number is not null)
),

members as (
    select
        'school-' || student_schools.school_number || '-students' as group_id,
        'school_students' as rule,
        student_schools.school_number,
        '' as part,
        student_schools.person_id,
        false as is_owner,
        false as is_manager,
        student_schools.source
    from student_schools

    union all

    select
        'school-' || staff_schools.school_number || '-staff' as group_id,
        'school_staff' as rule,
        staff_schools.school_number,
        '' as part,
        staff_schools.person_id,
        false as is_owner,
        false as is_manager,
        staff_schools.source
    from staff_schools

    union all

    select
        'grade-' || active_students.school_number || '-' || {{ group_slug('active_students.grade_code') }} as group_id,
        'grade' as rule,
        active_students.school_number,
        active_students.grade_code as part,
        active_students.person_id,
        false as is_owner,
        false as is_manager,
        active_students.source
    from active_students
    where active_students.grade_code is not null

    union all

    select
        'homeroom-' || homerooms.school_number || '-' || homerooms.homeroom_slug as group_id,
        'homeroom' as rule,
        homerooms.school_number,
        homerooms.homeroom as part,
        homerooms.person_id,
        false as is_owner,
        false as is_manager,
        homerooms.source
    from homerooms
    where homerooms.homeroom_slug is not null

    union all

    select
        'homeroom-' || homeroom_teachers.school_number || '-' || homeroom_teachers.homeroom_slug as group_id,
        'homeroom' as rule,
        homeroom_teachers.school_number,
        homeroom_teachers.homeroom as part,
        homeroom_teachers.person_id,
        true as is_owner,
        false as is_manager,
        homeroom_teachers.source
    from homeroom_teachers

    union all

    select
        section_people.group_id,
        'section' as rule,
        section_people.school_number,
        section_people.section_name as part,
        section_people.person_id,
        section_people.is_owner,
        false as is_manager,
        section_people.source
    from section_people

    union all

    select
        concat_ws('-', granted.rule, granted.school_number, granted.part_slug) as group_id,
        granted.rule,
        granted.school_number,
        granted.part,
        granted.person_id,
        granted.is_owner,
        granted.is_manager,
        granted.source
    from granted
),

-- a homeroom spelled in two ways ("7 A", "7-A") is one group, and a teacher named under both spellings one owner
final as (
    select
        members.group_id,
        members.person_id,
        min(members.rule) as rule,
        min(members.school_number) as school_number,
        min(members.part) as part,
        bool_or(members.is_owner) as is_owner,
        bool_or(members.is_manager) and not bool_or(members.is_owner) as is_manager,
        min(members.source) as source
    from members
    group by members.group_id, members.person_id
)

select * from final
