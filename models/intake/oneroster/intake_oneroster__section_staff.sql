with class_enrolments as (
    select * from {{ ref('stg_oneroster__enrolments') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

classes as (
    select * from {{ ref('stg_oneroster__classes') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        {{ class_of_year('class_enrolments.class_id') }} as timetable_id,
        orgs.school_number,
        users.staff_id,
        case
            when users.staff_id is null then {{ teacher_name('users') }}
        end as teacher_name,
        class_enrolments.is_primary,
        class_enrolments.source_file,
        class_enrolments.source_line
    from class_enrolments
    inner join users on class_enrolments.user_id = users.user_id
    inner join orgs on class_enrolments.org_id = orgs.org_id
    cross join night
    left join classes on class_enrolments.class_id = classes.class_id
    where
        class_enrolments.role = 'teacher'
        and coalesce(not class_enrolments.is_removed, true)
        and coalesce(not users.is_removed, true)
        and coalesce(class_enrolments.ends_on > night.as_of, true)
        -- homerooms stand in the students' own records
        and coalesce(classes.class_type, 'scheduled') <> 'homeroom'
        and class_enrolments.class_id is not null
        and orgs.school_number is not null
)

select * from final
