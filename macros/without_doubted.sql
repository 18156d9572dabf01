{#- The rows but for those whose key is in question: of whom they are nobody knows, and what was known stays. -#}
{% macro without_doubted(rows, population, key) -%}
    select undoubted.*
    from {{ rows }} as undoubted
    left join {{ ref('doubted_records') }} as doubted_records
        on
            doubted_records.population = '{{ population }}'
            and undoubted.{{ key }} = doubted_records.source_key
    where doubted_records.source_key is null
{%- endmacro %}
