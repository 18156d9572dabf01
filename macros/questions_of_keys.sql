{#- One question per key, the most urgent that any of the CTEs asks, with both records: who had the key stands in the CTE earlier. -#}
{% macro questions_of_keys(population, asking) -%}
    with asked as (
        {% for code, rows in asking.items() %}
        select
            source_key,
            '{{ code }}' as code,
            {{ loop.index }} as urgency,
            {{ 'other_key' if code in ['key_renumbered', 'key_doubled'] else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as other_key,
            found_source,
            {{ 'second_source' if code == 'key_shared' else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as second_source
        from {{ rows }}
        {% if not loop.last %}union all{% endif %}
        {% endfor %}
    ),

    one_per_key as (
        {{ deduplicate('asked', 'source_key', 'urgency') }}
    )

    select
        '{{ population }}' as population,
        one_per_key.source_key,
        one_per_key.code,
        one_per_key.other_key,
        earlier.source as kept_source,
        earlier.last_seen_on as kept_on,
        one_per_key.found_source,
        one_per_key.second_source
    from one_per_key
    left join earlier
        on coalesce(one_per_key.other_key, one_per_key.source_key) = earlier.source_key
{%- endmacro %}
