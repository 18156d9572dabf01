with staff as (
    select
        *,
        lower(sis_user_name) as user_name
    from {{ ref('stg_myedbc__staff') }}
),

-- one person may be listed at several schools, with the id on only one of the lines
final as (
    select
        staff.user_name as sis_user_name,
        max(staff.staff_id) over (partition by coalesce(staff.user_name, staff.staff_id)) as staff_id,
        staff.school_number,
        staff.first_name,
        staff.last_name,
        staff.email,
        coalesce(staff.is_teaching_staff, false) as is_teacher,
        staff.source_file,
        staff.source_line
    from staff
    where coalesce(staff.user_name, staff.staff_id) is not null
)

select * from final
