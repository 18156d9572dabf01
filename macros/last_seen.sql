{% macro last_seen(rows, people, key, leaving_out=none) -%}
    {#- rows of people in tonight's feeds only: a row that is itself a memory must not refresh itself -#}
    select
        {{ all_but('seen', leaving_out) if leaving_out else 'seen.*' }},
        people.last_seen_on
    from {{ rows }} as seen
    inner join {{ people }} as people on seen.{{ key }} = people.{{ key }}
    where people.is_in_feed
{%- endmacro %}
