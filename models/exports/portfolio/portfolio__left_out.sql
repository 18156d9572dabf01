-- the file is compared with who should be in it as it is, not as its model means it: a rule that goes wrong shows here too

with records as (
    select * from {{ ref('person_records') }}
),

lifecycle as (
    select * from {{ ref('lifecycle') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

students as (
    select * from {{ ref('students') }}
),

staff as (
    select * from {{ ref('staff_last_seen') }}
),

roles as (
    select * from {{ ref('portfolio_roles') }}
),

teachers_of_record as (
    select distinct section_staff.staff_key
    from {{ ref('section_staff') }} as section_staff
),

listed_students as (
    select * from {{ ref('exp_portfolio__students') }}
),

listed_staff as (
    select * from {{ ref('exp_portfolio__staff') }}
),

-- people the district gives no account (seed no_account) are left out because somebody said so
people as (
    select
        records.person_id,
        records.population,
        records.source_key,
        lifecycle.is_in_groups,
        lifecycle.state,
        holders.person_id is not null as has_account
    from records
    inner join lifecycle
        on records.person_id = lifecycle.person_id
    left join holders
        on records.person_id = holders.person_id
    where
        records.reason <> 'merged'
        and lifecycle.reason <> 'filtered'
),

missing_students as (
    select
        'students' as entity,
        people.source_key as key,
        people.person_id,
        students.school_number,
        case when people.has_account then 'left_out_without_school' else 'left_out_without_account' end as reason_code
    from people
    inner join students
        on people.source_key = students.student_number
    left join listed_students
        on people.source_key = listed_students.user_id
    where
        people.population = 'student'
        and (people.is_in_groups or people.state = 'preregistered')
        and listed_students.user_id is null
),

missing_staff as (
    select
        'staff' as entity,
        people.source_key as key,
        people.person_id,
        staff.school_number,
        case
            when not people.has_account then 'left_out_without_account'
            when staff.staff_id is null then 'left_out_without_id'
            else 'left_out_without_school'
        end as reason_code
    from people
    inner join staff
        on people.source_key = staff.staff_key
    left join roles
        on lower(staff.position) = lower(roles.position)
    left join teachers_of_record
        on staff.staff_key = teachers_of_record.staff_key
    left join listed_staff
        on people.person_id = listed_staff.person_id
    where
        people.population = 'staff'
        and people.is_in_groups
        -- the vendor has no place for others
        and (roles.role is not null or staff.is_teacher or teachers_of_record.staff_key is not null)
        and listed_staff.person_id is null
),

final as (
    select * from missing_students
    union all
    select * from missing_staff
)

select * from final
