{{ config(
    materialized='incremental',
    incremental_strategy='append',
    database='ledger',
    schema='identity',
    full_refresh=false,
    on_schema_change='fail',
) }}

with questions as (
    select * from {{ ref('record_questions') }}
),

answers as (
    select * from {{ ref('identity_decisions') }}
    where target is null
),

students as (
    select * from {{ ref('students_remembered') }}
),

staff as (
    select * from {{ ref('staff_remembered') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

earlier as (
    {% if is_incremental() %}
    select * from {{ this }}
    {% else %}
    -- one row that is nobody's
    select
        cast(null as {{ dbt.type_string() }}) as population,
        cast(null as {{ dbt.type_string() }}) as source_key,
        cast(null as {{ dbt.type_string() }}) as code,
        cast(null as {{ dbt.type_string() }}) as decision,
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as integer) as holder,
        cast(null as {{ dbt.type_string() }}) as kept_source,
        cast(null as date) as kept_on,
        cast(null as {{ dbt.type_string() }}) as why,
        cast(null as {{ dbt.type_string() }}) as decided_by
    {% endif %}
),

-- an answer is used once: the next question about the same key is another one
used as (
    select distinct
        earlier.population,
        earlier.source_key,
        earlier.decision,
        earlier.why,
        earlier.decided_by
    from earlier
),

answered as (
    select distinct
        earlier.population,
        earlier.source_key,
        earlier.code,
        earlier.kept_source,
        earlier.kept_on
    from earlier
),

handed_on as (
    select * from earlier
    where decision = 'different' and code = 'key_changed_hands'
),

holders as (
    {{ deduplicate('handed_on', 'population, source_key', 'holder desc') }}
),

before as (
    select
        'student' as population,
        students.student_number as source_key,
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,
        students.legal_first_name,
        students.legal_last_name,
        students.school_number,
        students.grade_code,
        cast(null as {{ dbt.type_string() }}) as position,
        students.source_file,
        students.source_line
    from students
    union all
    select
        'staff' as population,
        staff.staff_key as source_key,
        coalesce(staff.usual_first_name, staff.first_name) as first_name,
        staff.last_name,
        staff.first_name as legal_first_name,
        staff.last_name as legal_last_name,
        staff.school_number,
        cast(null as {{ dbt.type_string() }}) as grade_code,
        staff.position,
        staff.source_file,
        staff.source_line
    from staff
),

fitting as (
    select
        questions.*,
        answers.account,
        answers.decision,
        answers.why,
        answers.decided_by
    from questions
    inner join answers
        on
            questions.population = answers.population
            and questions.source_key = answers.source_key
    cross join night
    left join used
        on
            answers.population = used.population
            and answers.source_key = used.source_key
            and answers.decision = used.decision
            and answers.why = used.why
            and answers.decided_by = used.decided_by
    where
        -- an answer that names the other key is about no other
        (answers.account is null or coalesce(answers.account = questions.other_key, false))
        and coalesce(answers.until >= night.as_of, true)
        and used.source_key is null
),

-- of two the one that names the other key; of two that say otherwise nobody gets anybody else's
answers_of_questions as (
    {{ deduplicate('fitting', 'population, source_key, code', 'account nulls last, decision, why, decided_by') }}
),

final as (
    select
        questions.population,
        questions.source_key,
        questions.code,
        questions.decision,
        questions.other_key,
        -- whose the key is from now on: another holder is another person
        case
            when questions.code = 'key_changed_hands' and questions.decision = 'different'
                then {{ person_id(
                    'questions.population',
                    "questions.source_key || '/' || cast(coalesce(holders.holder, 1) + 1 as " ~ dbt.type_string() ~ ")",
                ) }}
        end as person_id,
        coalesce(holders.person_id, {{ person_id('questions.population', 'questions.source_key') }}) as former_person_id,
        coalesce(holders.holder, 1) + case
            when questions.code = 'key_changed_hands' and questions.decision = 'different' then 1 else 0
        end as holder,
        questions.kept_source,
        questions.kept_on,
        before.first_name,
        before.last_name,
        before.legal_first_name,
        before.legal_last_name,
        before.school_number,
        before.grade_code,
        before.position,
        before.source_file,
        before.source_line,
        questions.why,
        questions.decided_by,
        night.as_of as decided_on
    from answers_of_questions as questions
    cross join night
    left join answered
        on
            questions.population = answered.population
            and questions.source_key = answered.source_key
            and questions.code = answered.code
            and questions.kept_source is not distinct from answered.kept_source
            and questions.kept_on is not distinct from answered.kept_on
    left join holders
        on
            questions.population = holders.population
            and questions.source_key = holders.source_key
    left join before
        on
            questions.population = before.population
            and questions.source_key = before.source_key
    where answered.source_key is null
)

select * from final
