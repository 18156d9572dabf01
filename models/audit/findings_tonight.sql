{% set most_shown = 20 %}

with feed_problems as (
    select * from {{ ref('feed_problems') }}
),

catalogue as (
    select * from {{ ref('problems') }}
),

found as (
    select * from {{ ref('findings_of_people') }}
    union all
    select * from {{ ref('findings_of_accounts') }}
    union all
    select * from {{ ref('findings_of_families') }}
    union all
    select * from {{ ref('findings_of_events') }}
    union all
    select * from {{ ref('findings_of_classes') }}
    union all
    select * from {{ ref('findings_of_closings') }}
    union all
    select * from {{ ref('findings_of_rows') }}
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
gathered as (
    select
        found.code,
        found.source,
        found.target,
        found.entity,
        found.school_number,
        found.key,
        '' as file,
        cast(null as bigint) as line,
        '' as column_name,
        found.values,
        found.owner
    from found
    union all
    select
        problems.code,
        problems.source,
        '' as target,
        problems.entity,
        case when problems.of_this_kind <= {{ most_shown }} then problems.school_number end as school_number,
        case when problems.of_this_kind <= {{ most_shown }} then problems.key end as key,
        problems.file,
        problems.line,
        problems.column_name,
        case
            when problems.of_this_kind <= {{ most_shown }} then problems.values
            else
                {{ problem_values({
                    'of_this_kind': 'problems.of_this_kind',
                    'relation': "'audit.feed_problems'",
                    'within': "'many_of_a_kind'",
                }, onto='problems.values') }}
        end as values,
        problems.owner
    from problems
    where
        problems.of_this_kind <= {{ most_shown }}
        or problems.place = 1
),

final as (
    select
        catalogue.level,
        gathered.code,
        gathered.source,
        gathered.target,
        gathered.entity,
        gathered.school_number,
        gathered.key,
        gathered.file,
        gathered.line,
        gathered.column_name,
        gathered.values,
        {{ problem_sentence('catalogue', 'around', 'gathered.values') }} as message,
        coalesce(nullif(gathered.owner, ''), catalogue.owner) as owner,
        {{ rendered('catalogue.action', 'gathered.values') }} as action
    from gathered
    left join catalogue
        on gathered.code = catalogue.code
    left join catalogue as around
        on {{ code_around('gathered.values') }} = around.code
    -- a target the district has not is nobody's to mend
    where not {{ is_off('gathered.target') }}
)

select * from final
