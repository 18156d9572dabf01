with employees as (
    select * from {{ ref('stg_hr__employees') }}
),

numbered_employees as (
    select * from employees where staff_id is not null
),

-- someone who left and came back has two rows: the one still open counts, then the later one
one_per_employee as (
    {{ deduplicate('numbered_employees', 'staff_id', 'ended_on desc nulls first, hired_on desc nulls last, school_number nulls last') }}
),

final as (
    select
        'hr' as source_system,
        one_per_employee.staff_id,
        one_per_employee.first_name,
        one_per_employee.last_name,
        coalesce(one_per_employee.usual_first_name, one_per_employee.first_name) as usual_first_name,
        one_per_employee.position,
        one_per_employee.school_number,
        one_per_employee.email,
        one_per_employee.hired_on,
        one_per_employee.ended_on,
        one_per_employee.source_file,
        one_per_employee.source_line
    from one_per_employee
)

select * from final
