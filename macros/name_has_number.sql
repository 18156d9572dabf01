{#- Only numbers we could have given ourselves: from 2, no leading zero, six digits at most, apart from a digit by a hyphen. -#}
{% macro name_has_number(account_name) -%}
    ({{ regexp_like(account_name, '([a-z]|[0-9]-)[1-9][0-9]{0,5}$') }} and not {{ regexp_like(account_name, '[^0-9]1$') }})
{%- endmacro %}
