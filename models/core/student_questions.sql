with records as (
    {{ records_of_systems('students') }}
),

remembered as (
    select * from {{ ref('students_remembered') }}
),

tonight as (
    select
        records.source_system,
        records.student_number as source_key,
        {{ who_columns(
            'records.legal_first_name', 'records.usual_first_name', 'records.legal_last_name', 'records.usual_last_name',
            'records.date_of_birth',
        ) }},
        {{ number_key(regex_replace('records.student_number', '[^A-Za-z0-9]', '')) }} as number_key,
        -- a status nobody can read is that of last night
        coalesce(records.enrolment_status in ('active', 'preregistered'), true) as is_here,
        records.source_file || coalesce(':' || cast(records.source_line as {{ dbt.type_string() }}), '') as source,
        records.source_line
    from records
),

earlier as (
    select
        remembered.student_number as source_key,
        {{ who_columns(
            'remembered.legal_first_name', 'remembered.usual_first_name', 'remembered.legal_last_name', 'remembered.usual_last_name',
            'remembered.date_of_birth',
        ) }},
        {{ number_key(regex_replace('remembered.student_number', '[^A-Za-z0-9]', '')) }} as number_key,
        remembered.source_file || coalesce(':' || cast(remembered.source_line as {{ dbt.type_string() }}), '') as source,
        remembered.last_seen_on
    from remembered
),

-- two rows of one system under one number: twins differ in the first name alone
two_people as (
    select
        one.source_key,
        one.source as found_source,
        other.source as second_source,
        one.source_line,
        other.source_line as second_line
    from tonight as one
    inner join tonight as other
        on
            one.source_key = other.source_key
            and one.source_system = other.source_system
            and one.source < other.source
    where ({{ is_other_name('one', 'other', 'first') }}) or {{ is_somebody_else('one', 'other') }}
),

shared as (
    {{ deduplicate('two_people', 'source_key', 'source_line, second_line, found_source, second_source') }}
),

-- no row of tonight is the one who had the number
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

-- tonight or long ago: a child who comes back under another number is the same child
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
    {% for same in ['number_key', 'born_on'] %}
    select
        newcomers.source_key,
        newcomers.source as found_source,
        gone.source_key as other_key
    from newcomers
    inner join gone
        on newcomers.{{ same }} = gone.{{ same }}
    {%- if same == 'born_on' %}
    where {{ is_same_name('newcomers', 'gone', 'first') }} and {{ is_same_name('newcomers', 'gone', 'last') }}
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

renumbered as (
    {{ deduplicate('come_again', 'source_key', 'other_key, found_source') }}
),

-- of twins the first names differ
twice as (
    select
        newcomers.source_key,
        newcomers.source as found_source,
        earlier.source_key as other_key
    from newcomers
    inner join earlier
        on newcomers.born_on = earlier.born_on
    inner join tonight
        on
            earlier.source_key = tonight.source_key
            and tonight.is_here
    where {{ is_same_name('newcomers', 'earlier', 'first') }} and {{ is_same_name('newcomers', 'earlier', 'last') }}
),

doubled as (
    {{ deduplicate('twice', 'source_key', 'other_key, found_source') }}
),

final as (
    {{ questions_of_keys('student', {
        'key_shared': 'shared', 'key_changed_hands': 'changed', 'key_renumbered': 'renumbered', 'key_doubled': 'doubled',
    }) }}
)

select * from final
