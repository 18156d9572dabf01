with employees as (
    {{ records_by_precedence('employees') }}
),

-- someone who left and came back has two rows: the one still open counts, then the later one
one_per_employee as (
    {{ deduplicate(
        'employees',
        'staff_id',
        'precedence, ended_on desc nulls first, hired_on desc nulls last, school_number nulls last',
    ) }}
),

final as (
    select
        {{ all_but('one_per_employee', ['precedence', 'usual_first_name']) }},
        coalesce(one_per_employee.usual_first_name, one_per_employee.first_name) as usual_first_name
    from one_per_employee
)

select * from final
