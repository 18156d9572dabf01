with users as (
    select * from {{ ref('stg_oneroster__users') }}
),

roles as (
    select * from {{ ref('stg_oneroster__roles') }}
),

demographics as (
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

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
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

-- OneRoster says nothing of a student's own telephone, of the home, and of whether the family may be called
final as (
    select
        users.student_number,
        orgs.school_number,
        -- 1.1 names no home school: it is the one with the homeroom
        coalesce(home_orgs.school_number, case when homerooms.class_id is not null then orgs.school_number end) as home_school_number,
        teachers.staff_id as homeroom_teacher_id,
        {{ teacher_name('teachers') }} as homeroom_teacher_name,
        users.given_name as legal_first_name,
        users.middle_name as legal_middle_name,
        users.family_name as legal_last_name,
        users.preferred_given_name as usual_first_name,
        users.preferred_family_name as usual_last_name,
        homerooms.homeroom,
        users.email,
        case demographics.sex
            when 'male' then 'M'
            when 'female' then 'F'
            when 'other' then 'X'
            when 'unspecified' then 'U'
        end as gender_code,
        grades.grade_code,
        case
            when users.is_removed or roles.is_removed or not users.is_enabled then 'inactive'
            when users.is_removed is null or roles.is_removed is null then cast(null as {{ dbt.type_string() }})
            when roles.ends_on <= night.as_of then 'inactive'
            when roles.begins_on > night.as_of then 'preregistered'
            else 'active'
        end as enrolment_status,
        coalesce(roles.role_type, 'primary') <> 'secondary' as can_be_primary,
        demographics.date_of_birth,
        roles.begins_on as admitted_on,
        roles.ends_on as withdrawn_on,
        users.source_file,
        users.source_line
    from roles
    inner join users on roles.user_id = users.user_id
    inner join orgs on roles.org_id = orgs.org_id and orgs.org_type = 'school'
    cross join night
    left join orgs as home_orgs on users.primary_org_id = home_orgs.org_id
    left join demographics on users.user_id = demographics.user_id
    left join homerooms on users.user_id = homerooms.user_id and roles.org_id = homerooms.org_id
    left join homeroom_teachers on homerooms.class_id = homeroom_teachers.class_id
    left join users as teachers on homeroom_teachers.user_id = teachers.user_id
    left join grades on users.grade = grades.grade_text
    where roles.role = 'student'
)

select * from final
