-- nobody's birth date is read of staff: the first day of employment stands in for it
with people as (
    select * from {{ ref('staff_keys') }}
),

employees as (
    {{ records_of_systems('employees') }}
),

assignments as (
    {{ records_of_systems('staff') }}
),

remembered as (
    select * from {{ ref('staff_remembered') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- every row either system has of them
records as (
    select
        'employees' as told_by,
        employees.source_system,
        employees.staff_id as record_key,
        employees.school_number,
        employees.first_name,
        employees.usual_first_name,
        employees.last_name,
        employees.hired_on,
        employees.ended_on,
        employees.source_file,
        employees.source_line
    from employees
    union all
    select
        'assignments' as told_by,
        assignments.source_system,
        coalesce('E' || assignments.staff_id, 'U' || assignments.sis_user_name) as record_key,
        assignments.school_number,
        assignments.first_name,
        cast(null as {{ dbt.type_string() }}) as usual_first_name,
        assignments.last_name,
        cast(null as date) as hired_on,
        cast(null as date) as ended_on,
        assignments.source_file,
        assignments.source_line
    from assignments
),

told as (
    select
        people.staff_key as source_key,
        people.match_rule,
        records.told_by,
        records.source_system,
        records.school_number,
        {{ who_columns(
            'records.first_name', 'records.usual_first_name', 'records.last_name', 'records.last_name', 'records.hired_on',
        ) }},
        {{ number_key(regex_replace('people.staff_key', '^[EU]|[^A-Za-z0-9]', '')) }} as number_key,
        records.source_file || coalesce(':' || cast(records.source_line as {{ dbt.type_string() }}), '') as source,
        records.source_line,
        people.hr_staff_id is not null as is_in_hr,
        coalesce(records.ended_on >= night.as_of, true) as is_here
    from people
    cross join night
    inner join records
        on records.record_key = case records.told_by when 'employees' then people.hr_staff_id else people.sis_key end
),

-- human resources is believed about names, where it has the person
tonight as (
    select * from told
    where told_by = 'employees' or not is_in_hr
),

earlier as (
    select
        remembered.staff_key as source_key,
        remembered.school_number,
        {{ who_columns(
            'remembered.first_name', 'remembered.usual_first_name', 'remembered.last_name', 'remembered.last_name', 'remembered.hired_on',
        ) }},
        {{ number_key(regex_replace('remembered.staff_key', '^[EU]|[^A-Za-z0-9]', '')) }} as number_key,
        remembered.source_file || coalesce(':' || cast(remembered.source_line as {{ dbt.type_string() }}), '') as source,
        remembered.last_seen_on,
        remembered.is_active as was_here
    from remembered
),

-- two rows under one id, of one system or of two that the id alone joined
two_people as (
    select
        one.source_key,
        one.source as found_source,
        other.source as second_source,
        one.source_line,
        other.source_line as second_line
    from told as one
    inner join told as other
        on
            one.source_key = other.source_key
            and one.source < other.source
            and (one.source_system = other.source_system or one.match_rule = 'staff_id')
    where ({{ is_other_name('one', 'other', 'first') }}) and ({{ is_other_name('one', 'other', 'last') }})
),

shared as (
    {{ deduplicate('two_people', 'source_key', 'source_line, second_line, found_source, second_source') }}
),

-- no row of tonight is the one who had the id
changed as (
    select
        tonight.source_key,
        min(tonight.source) as found_source
    from tonight
    inner join earlier
        on tonight.source_key = earlier.source_key
    group by tonight.source_key
    having bool_and({{ is_somebody_else('tonight', 'earlier') }})
),

newcomers as (
    select tonight.*
    from tonight
    left join earlier
        on tonight.source_key = earlier.source_key
    where earlier.source_key is null
),

-- tonight or long ago: whoever comes back under another id is the same employee
gone as (
    select earlier.*
    from earlier
    left join tonight
        on
            earlier.source_key = tonight.source_key
            and tonight.is_here
    where tonight.source_key is null
),

come_again as (
    {% for same in ['number_key', 'born_on', 'school_number'] %}
    select
        newcomers.source_key,
        newcomers.source as found_source,
        gone.source_key as other_key
    from newcomers
    inner join gone
        on newcomers.{{ same }} = gone.{{ same }}
    {%- if same != 'number_key' %}
    where {{ is_same_name('newcomers', 'gone', 'first') }} and {{ is_same_name('newcomers', 'gone', 'last') }}
    {%- endif %}
    {%- if same == 'school_number' %}
        -- a name and a school are little: enough only of who was here last night
        and gone.was_here
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

renumbered as (
    {{ deduplicate('come_again', 'source_key', 'other_key, found_source') }}
),

final as (
    {{ questions_of_keys('staff', {
        'key_shared': 'shared', 'key_changed_hands': 'changed', 'key_renumbered': 'renumbered',
    }) }}
)

select * from final
