{%- set kinds = [
    ('student_records', 'student', 'students', 'student_records.student_number', {
        'legal_first_name': none, 'legal_last_name': 'legal_first_name',
        'usual_first_name': none, 'usual_last_name': 'usual_first_name',
    }),
    ('assignments', 'staff', 'staff', 'assignments.staff_key', {'first_name': none, 'last_name': 'first_name'}),
    ('employees', 'staff', 'employees', 'employees.staff_key', {
        'first_name': none, 'last_name': 'first_name', 'usual_first_name': none,
    }),
] -%}

with student_records as (
    select * from {{ ref('intake_students') }}
),

staff_matches as (
    select * from {{ ref('staff_matches') }}
),

assignments as (
    select
        intake_staff.*,
        staff_matches.staff_key
    from {{ ref('intake_staff') }} as intake_staff
    inner join staff_matches on intake_staff.sis_key = staff_matches.sis_key
),

employees as (
    select
        intake_employees.*,
        staff_matches.staff_key
    from {{ ref('intake_employees') }} as intake_employees
    inner join staff_matches on intake_employees.staff_id = staff_matches.hr_staff_id
),

real_names as (
    select * from {{ ref('real_names') }}
),

names as (
    {%- for rows, population, entity, key, columns in kinds %}
    {%- set outer = loop %}
    {%- for column, first_name in columns.items() %}
    select
        {{ name_fault(rows ~ '.' ~ column, rows ~ '.' ~ first_name if first_name else none) }} as code,
        {{ rows }}.source_system,
        '{{ population }}' as population,
        '{{ entity }}' as entity,
        {{ key }} as key,
        {{ rows }}.school_number,
        '{{ column }}' as column_name,
        {{ rows }}.source_file,
        {{ rows }}.source_line
    from {{ rows }}
    {%- if not (loop.last and outer.last) %}
    union all
    {%- endif %}
    {%- endfor %}
    {%- endfor %}
),

final as (
    select
        names.code,
        names.source_system,
        names.entity,
        names.key,
        names.school_number,
        names.column_name,
        names.source_file,
        names.source_line
    from names
    left join real_names
        on
            names.population = real_names.population
            and names.key = real_names.source_key
    where
        names.code is not null
        and real_names.source_key is null
)

select * from final
