with enrolments as (
    select * from {{ ref('stg_myedbc__student_enrolments') }}
),

demographics as (
    select * from {{ ref('stg_myedbc__student_demographics') }}
),

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- a student in either feed is in the feed: one that lags behind the other must not look like a child who left
joined as (
    select
        coalesce(enrolments.student_number, demographics.student_number) as student_number,
        coalesce(enrolments.school_number, demographics.school_number) as school_number,
        coalesce(enrolments.home_school_number, demographics.home_school_number) as home_school_number,
        enrolments.next_school_number,
        coalesce(enrolments.homeroom_teacher_id, demographics.homeroom_teacher_id) as homeroom_teacher_id,
        coalesce(enrolments.homeroom_teacher_name, demographics.homeroom_teacher_name) as homeroom_teacher_name,
        coalesce(enrolments.legal_first_name, demographics.legal_first_name) as legal_first_name,
        demographics.legal_middle_name,
        coalesce(enrolments.legal_last_name, demographics.legal_last_name) as legal_last_name,
        coalesce(enrolments.usual_first_name, demographics.usual_first_name) as usual_first_name,
        coalesce(enrolments.usual_last_name, demographics.usual_last_name) as usual_last_name,
        coalesce(enrolments.homeroom, demographics.homeroom) as homeroom,
        enrolments.email,
        demographics.home_phone,
        demographics.street_number,
        demographics.street_name,
        demographics.apartment,
        demographics.municipality,
        demographics.province,
        demographics.postal_code,
        upper(demographics.gender_code) as gender_code,
        upper(coalesce(enrolments.grade, demographics.grade)) as grade,
        enrolments.enrolment_status as status_text,
        coalesce(enrolments.withdraw_date_text, demographics.withdraw_date_text) as withdraw_date_text,
        -- no word from the family is no refusal
        coalesce(demographics.may_call, true) as may_call,
        coalesce(enrolments.date_of_birth, demographics.date_of_birth) as date_of_birth,
        coalesce(enrolments.admitted_on, demographics.admitted_on) as admitted_on,
        coalesce(enrolments.withdrawn_on, demographics.withdrawn_on) as withdrawn_on,
        coalesce(enrolments.source_file, demographics.source_file) as source_file,
        coalesce(enrolments.source_line, demographics.source_line) as source_line
    from enrolments
    full outer join demographics
        on
            enrolments.student_number = demographics.student_number
            and enrolments.school_number = demographics.school_number
),

-- a status column that is all but empty is broken: who had a status last night keeps it, and no withdraw date, which
-- children who came back keep, decides for everyone at once
status_column as (
    select count(enrolments.enrolment_status) * 2 >= count(*) or {{ var('withdraw_date_decides', false) }} as is_filled
    from enrolments
),

with_status as (
    select
        joined.*,
        grades.grade_code,
        case
            when status_column.is_filled or joined.status_text is not null
                then {{ enrolment_status('joined.status_text', 'joined.withdraw_date_text', 'night.as_of') }}
        end as enrolment_status,
        coalesce(lower(joined.status_text), '') <> 'active no primary' as can_be_primary
    from joined
    cross join night
    cross join status_column
    left join grades on joined.grade = grades.grade_text
),

oneroster_users as (
    select * from {{ ref('stg_oneroster__users') }}
),

oneroster_roles as (
    select * from {{ ref('stg_oneroster__roles') }}
),

oneroster_demographics as (
    select * from {{ ref('stg_oneroster__demographics') }}
),

class_enrolments as (
    select * from {{ ref('stg_oneroster__enrolments') }}
),

homeroom_classes as (
    select * from {{ ref('stg_oneroster__classes') }}
    where class_type = 'homeroom' and coalesce(not is_removed, true)
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

-- who is in a homeroom tonight: an end date is the first day on which somebody is no longer in the class
homeroom_enrolments as (
    select
        class_enrolments.class_id,
        homeroom_classes.org_id,
        coalesce(homeroom_classes.class_code, homeroom_classes.title) as homeroom,
        class_enrolments.user_id,
        class_enrolments.role,
        case when class_enrolments.is_primary then 1 else 2 end as primary_rank
    from class_enrolments
    inner join homeroom_classes on class_enrolments.class_id = homeroom_classes.class_id
    cross join night
    where coalesce(not class_enrolments.is_removed, true) and coalesce(class_enrolments.ends_on > night.as_of, true)
),

teacher_enrolments as (
    select * from homeroom_enrolments
    where role = 'teacher'
),

student_enrolments as (
    select * from homeroom_enrolments
    where role = 'student'
),

homeroom_teachers as (
    {{ deduplicate('teacher_enrolments', 'class_id', 'primary_rank, user_id') }}
),

homerooms as (
    {{ deduplicate('student_enrolments', 'user_id, org_id', 'class_id') }}
),

oneroster_students as (
    select
        oneroster_users.student_number,
        orgs.school_number,
        -- 1.1 names no home school: it is the one with the homeroom
        coalesce(home_orgs.school_number, case when homerooms.class_id is not null then orgs.school_number end) as home_school_number,
        teachers.staff_id as homeroom_teacher_id,
        {{ teacher_name('teachers') }} as homeroom_teacher_name,
        oneroster_users.given_name as legal_first_name,
        oneroster_users.middle_name as legal_middle_name,
        oneroster_users.family_name as legal_last_name,
        oneroster_users.preferred_given_name as usual_first_name,
        oneroster_users.preferred_family_name as usual_last_name,
        homerooms.homeroom,
        oneroster_users.email,
        case oneroster_demographics.sex
            when 'male' then 'M'
            when 'female' then 'F'
            when 'other' then 'X'
            when 'unspecified' then 'U'
        end as gender_code,
        oneroster_users.grade,
        oneroster_roles.role_type,
        case
            when oneroster_users.is_removed or oneroster_roles.is_removed or not oneroster_users.is_enabled then 'inactive'
            when oneroster_users.is_removed is null or oneroster_roles.is_removed is null then cast(null as {{ dbt.type_string() }})
            when oneroster_roles.ends_on <= night.as_of then 'inactive'
            when oneroster_roles.begins_on > night.as_of then 'preregistered'
            else 'active'
        end as enrolment_status,
        oneroster_demographics.date_of_birth,
        oneroster_roles.begins_on as admitted_on,
        oneroster_roles.ends_on as withdrawn_on,
        oneroster_users.source_file,
        oneroster_users.source_line
    from oneroster_roles
    inner join oneroster_users on oneroster_roles.user_id = oneroster_users.user_id
    inner join orgs on oneroster_roles.org_id = orgs.org_id and orgs.org_type = 'school'
    cross join night
    left join orgs as home_orgs on oneroster_users.primary_org_id = home_orgs.org_id
    left join oneroster_demographics on oneroster_users.user_id = oneroster_demographics.user_id
    left join homerooms on oneroster_users.user_id = homerooms.user_id and oneroster_roles.org_id = homerooms.org_id
    left join homeroom_teachers on homerooms.class_id = homeroom_teachers.class_id
    left join oneroster_users as teachers on homeroom_teachers.user_id = teachers.user_id
    where oneroster_roles.role = 'student'
),

known_enrolments as (
    select
        'myedbc' as source_system,
        with_status.student_number,
        with_status.school_number,
        with_status.home_school_number,
        with_status.next_school_number,
        with_status.legal_first_name,
        with_status.legal_middle_name,
        with_status.legal_last_name,
        with_status.usual_first_name,
        with_status.usual_last_name,
        with_status.date_of_birth,
        with_status.gender_code,
        with_status.grade_code,
        with_status.homeroom,
        with_status.homeroom_teacher_id,
        with_status.homeroom_teacher_name,
        with_status.enrolment_status,
        with_status.can_be_primary,
        with_status.admitted_on,
        with_status.withdrawn_on,
        with_status.email,
        with_status.home_phone,
        with_status.street_number,
        with_status.street_name,
        with_status.apartment,
        with_status.municipality,
        with_status.province,
        with_status.postal_code,
        with_status.may_call,
        with_status.source_file,
        with_status.source_line
    from with_status
    where with_status.student_number is not null and with_status.school_number is not null
    union all
    select
        'oneroster' as source_system,
        oneroster_students.student_number,
        oneroster_students.school_number,
        oneroster_students.home_school_number,
        cast(null as {{ dbt.type_string() }}) as next_school_number,
        oneroster_students.legal_first_name,
        oneroster_students.legal_middle_name,
        oneroster_students.legal_last_name,
        oneroster_students.usual_first_name,
        oneroster_students.usual_last_name,
        oneroster_students.date_of_birth,
        oneroster_students.gender_code,
        grades.grade_code,
        oneroster_students.homeroom,
        oneroster_students.homeroom_teacher_id,
        oneroster_students.homeroom_teacher_name,
        oneroster_students.enrolment_status,
        coalesce(oneroster_students.role_type, 'primary') <> 'secondary' as can_be_primary,
        oneroster_students.admitted_on,
        oneroster_students.withdrawn_on,
        oneroster_students.email,
        -- OneRoster says nothing of a student's own telephone, of the home, and of whether the family may be called
        cast(null as {{ dbt.type_string() }}) as home_phone,
        cast(null as {{ dbt.type_string() }}) as street_number,
        cast(null as {{ dbt.type_string() }}) as street_name,
        cast(null as {{ dbt.type_string() }}) as apartment,
        cast(null as {{ dbt.type_string() }}) as municipality,
        cast(null as {{ dbt.type_string() }}) as province,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        cast(null as boolean) as may_call,
        oneroster_students.source_file,
        oneroster_students.source_line
    from oneroster_students
    left join grades on oneroster_students.grade = grades.grade_text
),

ranked as (
    select
        known_enrolments.*,
        {{ enrolment_rank('known_enrolments.enrolment_status') }} as status_rank
    from known_enrolments
),

-- a school that lists a student twice means one enrolment: the better status, then the later admission. Listed by two
-- systems, the first counts: it also knows the address and whether the family may be called
one_per_enrolment as (
    {{ deduplicate(
        'ranked', 'student_number, school_number', 'source_system, status_rank, admitted_on desc nulls last, source_line'
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
        night.data_as_of < night.rolled_over_on
        and one_per_enrolment.enrolment_status = 'active'
        and count(*) over (partition by one_per_enrolment.student_number) = 1 as has_moved_up,
        night.rolled_over_on,
        {{ next_grade('one_per_enrolment.grade_code') }} as next_grade_code
    from one_per_enrolment
    cross join night
),

final as (
    select
        foreseen.source_system,
        foreseen.student_number,
        case
            when foreseen.has_moved_up then coalesce(foreseen.next_school_number, foreseen.school_number)
            else foreseen.school_number
        end as school_number,
        foreseen.home_school_number,
        case when not coalesce(foreseen.has_moved_up, false) then foreseen.next_school_number end as next_school_number,
        foreseen.legal_first_name,
        foreseen.legal_middle_name,
        foreseen.legal_last_name,
        -- a person with one name has it as the last name: no usual first name is filled in from anywhere
        coalesce(foreseen.usual_first_name, foreseen.legal_first_name) as usual_first_name,
        coalesce(foreseen.usual_last_name, foreseen.legal_last_name) as usual_last_name,
        foreseen.date_of_birth,
        foreseen.gender_code,
        case
            when foreseen.has_moved_up and foreseen.next_grade_code <> 'graduated' then foreseen.next_grade_code
            else foreseen.grade_code
        end as grade_code,
        -- next year's homerooms are not known yet
        case when not coalesce(foreseen.has_moved_up, false) then foreseen.homeroom end as homeroom,
        case
            when not coalesce(foreseen.has_moved_up, false) then foreseen.homeroom_teacher_id
        end as homeroom_teacher_id,
        case
            when not coalesce(foreseen.has_moved_up, false) then foreseen.homeroom_teacher_name
        end as homeroom_teacher_name,
        case
            when foreseen.has_begun then 'active'
            when foreseen.has_moved_up and foreseen.next_grade_code = 'graduated' then 'inactive'
            else foreseen.enrolment_status
        end as enrolment_status,
        foreseen.can_be_primary,
        foreseen.admitted_on,
        case
            when foreseen.has_moved_up and foreseen.next_grade_code = 'graduated' then foreseen.rolled_over_on
            else foreseen.withdrawn_on
        end as withdrawn_on,
        foreseen.email,
        foreseen.home_phone,
        foreseen.street_number,
        foreseen.street_name,
        foreseen.apartment,
        foreseen.municipality,
        foreseen.province,
        foreseen.postal_code,
        foreseen.may_call,
        foreseen.source_file,
        foreseen.source_line
    from foreseen
)

select * from final
