with kept as (
    select * from {{ source('ledger_audit', 'findings') }}
),

catalogue as (
    select * from {{ ref('problems') }}
),

final as (
    select
        kept.finding_id,
        kept.run_id,
        kept.found_at,
        catalogue.level,
        kept.code,
        kept.source,
        kept.feed,
        kept.target,
        kept.entity,
        kept.school_number,
        kept.key,
        kept.file,
        kept.line,
        kept.column_name,
        kept.values,
        {{ problem_sentence('catalogue', 'around', 'kept.values') }} as message,
        kept.owner,
        {{ rendered('catalogue.action', 'kept.values') }} as action
    from kept
    left join catalogue
        on kept.code = catalogue.code
    left join catalogue as around
        on {{ code_around('kept.values') }} = around.code
)

select * from final
