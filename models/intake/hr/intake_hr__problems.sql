with employees as (
    select * from {{ ref('stg_hr__employees') }}
),

final as (
    select
        'staff' as entity,
        'employee_without_key' as code,
        cast(null as {{ dbt.type_string() }}) as key,
        employees.school_number,
        'staff_id' as column_name,
        employees.source_file,
        employees.source_line
    from employees
    where employees.staff_id is null
)

select * from final
