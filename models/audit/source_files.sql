with kept as (
    select * from {{ source('ledger_audit', 'source_files') }}
),

catalogue as (
    select * from {{ ref('problems') }}
),

final as (
    select
        kept.*,
        {{ problem_sentence('catalogue', 'around', 'kept.values') }} as message,
        {{ rendered('catalogue.action', 'kept.values') }} as action
    from kept
    left join catalogue
        on kept.code = catalogue.code
    left join catalogue as around
        on {{ code_around('kept.values') }} = around.code
)

select * from final
