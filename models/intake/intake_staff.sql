with staff as (
    select
        *,
        lower(sis_user_name) as user_name
    from {{ ref('stg_myedbc__staff') }}
),

-- one person may be listed at several schools, with the id on only one of the lines
identified as (
    select
        staff.*,
        max(staff.staff_id) over (partition by coalesce(staff.user_name, staff.staff_id)) as person_staff_id
    from staff
    where coalesce(staff.user_name, staff.staff_id) is not null
),

keyed as (
    select
        identified.*,
        coalesce('E' || identified.person_staff_id, 'U' || identified.user_name) as sis_key,
        case when identified.is_teaching_staff then 1 else 2 end as teaching_rank
    from identified
),

one_per_assignment as (
    {{ first_row_per('keyed', 'sis_key, school_number', 'teaching_rank, source_line') }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_assignment.sis_key,
        one_per_assignment.user_name as sis_user_name,
        one_per_assignment.person_staff_id as staff_id,
        one_per_assignment.school_number,
        one_per_assignment.first_name,
        one_per_assignment.last_name,
        one_per_assignment.email,
        coalesce(one_per_assignment.is_teaching_staff, false) as is_teacher,
        one_per_assignment.source_file,
        one_per_assignment.source_line
    from one_per_assignment
)

select * from final
