{% macro append_only_documents(wanted, posted, thing, facts, amounts) -%}
{%- set columns = facts + amounts -%}
(
    with

    wanted as (
        select {{ thing }}, {{ columns | join(', ') }} from {{ wanted }}
    ),

    posted as (
        select
            document_id,
            {{ thing }},
            right(document_id, 1) = 'R' as is_reversal,
            cast(replace(substr(document_id, length({{ thing }}) + 2), 'R', '') as integer) as version,
            {{ columns | join(', ') }}
        from {{ posted }}
    ),

    -- what counts today: made, and not taken back
    standing as (
        select
            made.*,
            wanted.{{ thing }} is not null
            {%- for column in columns %}
            and made.{{ column }} is not distinct from wanted.{{ column }}
            {%- endfor %} as is_wanted
        from posted as made
        left join wanted on wanted.{{ thing }} = made.{{ thing }}
        where not made.is_reversal
            and made.document_id || 'R' not in (select document_id from posted where is_reversal)
    ),

    -- of two that say the same the first stays
    kept as (
        select {{ thing }}, min(version) as version
        from standing
        where is_wanted
        group by {{ thing }}
    ),

    newest as (
        select {{ thing }}, max(version) as version
        from posted
        group by {{ thing }}
    )

    select document_id, {{ thing }}, {{ columns | join(', ') }}
    from posted
    union all
    select
        standing.document_id || 'R' as document_id,
        standing.{{ thing }}
        {%- for column in facts %},
        standing.{{ column }}
        {%- endfor %}
        {%- for column in amounts %},
        -standing.{{ column }} as {{ column }}
        {%- endfor %}
    from standing
    left join kept on kept.{{ thing }} = standing.{{ thing }} and kept.version = standing.version
    where kept.{{ thing }} is null
    union all
    select
        wanted.{{ thing }} || '/' || cast(coalesce(newest.version, 0) + 1 as varchar) as document_id,
        wanted.{{ thing }}
        {%- for column in columns %},
        wanted.{{ column }}
        {%- endfor %}
    from wanted
    left join newest on newest.{{ thing }} = wanted.{{ thing }}
    where wanted.{{ thing }} not in (select {{ thing }} from kept)
)
{%- endmacro %}
