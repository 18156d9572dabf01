with questions as (
    select * from {{ ref('record_questions') }}
),

decisions as (
    select * from {{ ref('record_decisions') }}
),

person_merges as (
    select * from {{ ref('person_merges') }}
),

-- two rows under one key are there every night: that they are one person need be said once. That they are two mends nothing
answered as (
    select distinct
        questions.population,
        questions.source_key
    from questions
    inner join decisions
        on
            questions.population = decisions.population
            and questions.source_key = decisions.source_key
            and questions.code = decisions.code
    where
        case questions.code
            when 'key_shared' then decisions.decision = 'same'
            else
                questions.kept_source is not distinct from decisions.kept_source
                and questions.kept_on is not distinct from decisions.kept_on
        end
    union
    -- that two keys are one person's may be said of itself, before anybody asks
    select
        questions.population,
        questions.source_key
    from questions
    inner join person_merges
        on
            questions.population = person_merges.population
            and questions.source_key = person_merges.source_key
    where questions.code in ('key_renumbered', 'key_doubled')
),

final as (
    select
        questions.*,
        -- who is known already, and keeps everything until somebody has said whose the record is; of whom is listed nothing is in doubt
        case
            when questions.code = 'key_doubled' then questions.source_key
            else coalesce(questions.other_key, questions.source_key)
        end as held_key
    from questions
    left join answered
        on
            questions.population = answered.population
            and questions.source_key = answered.source_key
    where answered.source_key is null
)

select * from final
