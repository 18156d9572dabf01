with assignments as (
    select * from {{ ref('intake_staff') }}
),

employees as (
    select * from {{ ref('intake_employees') }}
),

employments as (
    select * from {{ ref('intake_employments') }}
),

sis_people as (
    select
        assignments.sis_key,
        min(assignments.staff_id) as staff_id,
        min(assignments.sis_user_name) as sis_user_name,
        min(lower(assignments.email)) as email
    from assignments
    group by assignments.sis_key
),

by_staff_id as (
    select
        sis_people.sis_key,
        employees.staff_id as hr_staff_id,
        'staff_id' as match_rule
    from sis_people
    inner join employees on sis_people.staff_id = employees.staff_id
),

-- an office's shared address belongs to several people and so names none of them
sis_emails as (
    select
        sis_people.email,
        min(sis_people.sis_key) as sis_key
    from sis_people
    group by sis_people.email
    having count(*) = 1
),

hr_emails as (
    select
        lower(employees.email) as email,
        min(employees.staff_id) as hr_staff_id
    from employees
    group by lower(employees.email)
    having count(*) = 1
),

by_email as (
    select
        sis_emails.sis_key,
        hr_emails.hr_staff_id,
        'email' as match_rule
    from sis_emails
    inner join hr_emails on sis_emails.email = hr_emails.email
    where
        sis_emails.sis_key not in (select by_staff_id.sis_key from by_staff_id)
        and hr_emails.hr_staff_id not in (select by_staff_id.hr_staff_id from by_staff_id)
),

id_or_email as (
    select * from by_staff_id
    union all
    select * from by_email
),

sis_names as (
    select
        assignments.sis_key,
        assignments.school_number,
        coalesce({{ name_key('assignments.first_name') }}, '') || '|' || {{ name_key('assignments.last_name') }} as person_name
    from assignments
),

hr_names as (
    select
        employments.staff_id as hr_staff_id,
        employments.school_number,
        coalesce({{ name_key('employments.first_name') }}, '') || '|' || {{ name_key('employments.last_name') }} as person_name
    from employments
    union all
    select
        employments.staff_id as hr_staff_id,
        employments.school_number,
        {{ name_key('employments.usual_first_name') }} || '|' || {{ name_key('employments.last_name') }} as person_name
    from employments
),

-- unique among everybody, matched or not: of two Jane Smiths at one school a person decides which is which
unique_sis_names as (
    select
        sis_names.school_number,
        sis_names.person_name,
        min(sis_names.sis_key) as sis_key
    from sis_names
    group by sis_names.school_number, sis_names.person_name
    having count(*) = 1
),

unique_hr_names as (
    select
        hr_names.school_number,
        hr_names.person_name,
        min(hr_names.hr_staff_id) as hr_staff_id
    from hr_names
    group by hr_names.school_number, hr_names.person_name
    having count(distinct hr_names.hr_staff_id) = 1
),

-- who is listed at several schools of both systems is one pair
name_pairs as (
    select distinct
        unique_sis_names.sis_key,
        unique_hr_names.hr_staff_id
    from unique_sis_names
    inner join unique_hr_names
        on
            unique_sis_names.school_number = unique_hr_names.school_number
            and unique_sis_names.person_name = unique_hr_names.person_name
    inner join sis_people on unique_sis_names.sis_key = sis_people.sis_key
    where
        -- two different staff ids are two people until somebody says otherwise
        sis_people.staff_id is null
        and unique_sis_names.sis_key not in (select id_or_email.sis_key from id_or_email)
        and unique_hr_names.hr_staff_id not in (select id_or_email.hr_staff_id from id_or_email)
),

by_name_school as (
    select
        name_pairs.sis_key,
        min(name_pairs.hr_staff_id) as hr_staff_id,
        'name_school' as match_rule
    from name_pairs
    where
        name_pairs.hr_staff_id in (
            select pairs.hr_staff_id
            from name_pairs as pairs
            group by pairs.hr_staff_id
            having count(*) = 1
        )
    group by name_pairs.sis_key
    having count(*) = 1
),

matched as (
    select * from id_or_email
    union all
    select * from by_name_school
),

final as (
    select
        sis_people.sis_key,
        matched.hr_staff_id,
        sis_people.staff_id as sis_staff_id,
        sis_people.sis_user_name,
        coalesce(matched.match_rule, 'sis_only') as match_rule
    from sis_people
    left join matched on sis_people.sis_key = matched.sis_key
    union all
    select
        cast(null as {{ dbt.type_string() }}) as sis_key,
        employees.staff_id as hr_staff_id,
        cast(null as {{ dbt.type_string() }}) as sis_staff_id,
        cast(null as {{ dbt.type_string() }}) as sis_user_name,
        'hr_only' as match_rule
    from employees
    where employees.staff_id not in (select matched.hr_staff_id from matched)
)

select * from final
