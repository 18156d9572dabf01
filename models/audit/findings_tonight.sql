{% set most_shown = 20 %}

with feed_problems as (
    select * from {{ ref('feed_problems') }}
),

found as (
    select * from {{ ref('findings_of_people') }}
    union all
    select * from {{ ref('findings_of_accounts') }}
),

problems as (
    select
        feed_problems.*,
        count(*) over (partition by feed_problems.code) as of_this_kind,
        row_number() over (
            partition by feed_problems.code
            order by feed_problems.file asc nulls last, feed_problems.line asc nulls last, feed_problems.problem_id asc
        ) as place
    from feed_problems
),

-- a column that went bad as a whole is one thing to know, not thousands
final as (
    select
        found.level,
        found.kind,
        found.source,
        found.target,
        found.entity,
        found.school_number,
        found.key,
        '' as file,
        cast(null as bigint) as line,
        '' as column_name,
        found.message,
        found.owner,
        found.action
    from found
    union all
    select
        problems.level,
        problems.code as kind,
        problems.source,
        '' as target,
        problems.entity,
        case when problems.of_this_kind <= {{ most_shown }} then problems.school_number end as school_number,
        case when problems.of_this_kind <= {{ most_shown }} then problems.key end as key,
        problems.file,
        problems.line,
        problems.column_name,
        case
            when problems.of_this_kind <= {{ most_shown }} then problems.message
            else
                problems.message || ' There are ' || cast(problems.of_this_kind as {{ dbt.type_string() }})
                || ' of this kind tonight; core.feed_problems has them all.'
        end as message,
        problems.owner,
        problems.action
    from problems
    where
        problems.of_this_kind <= {{ most_shown }}
        or problems.place = 1
)

select * from final
