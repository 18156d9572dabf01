with employees as (
    select * from {{ ref('stg_hr__employees') }}
),

final as (
    select
        employees.staff_id,
        employees.first_name,
        employees.last_name,
        employees.usual_first_name,
        employees.position,
        employees.school_number,
        employees.email,
        employees.hired_on,
        employees.ended_on,
        employees.source_file,
        employees.source_line
    from employees
    where employees.staff_id is not null
)

select * from final
