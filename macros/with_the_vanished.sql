{% macro with_the_vanished(tonight, remembered, key, present=none) -%}
    {#- absence needs a reason: of whom tonight's feed does not have, the rows stay as last seen -#}
    select
        {{ tonight }}.*,
        true as is_in_feed
    from {{ tonight }}
    {{ union_by_name() }}
    select
        {{ remembered }}.*,
        false as is_in_feed
    from {{ remembered }}
    left join {{ present or tonight }} as present on {{ remembered }}.{{ key }} = present.{{ key }}
    where present.{{ key }} is null
{%- endmacro %}
