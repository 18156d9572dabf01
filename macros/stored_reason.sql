{%- macro stored_reason(reason, what) -%}
    {{ return(adapter.dispatch('stored_reason', 'homeroom')(reason, what)) }}
{%- endmacro %}

{%- macro duckdb__stored_reason(reason, what) -%}
    {{ reason }} {{ '->>' if what == 'code' else '->' }} '$.{{ what }}'
{%- endmacro %}

{%- macro postgres__stored_reason(reason, what) -%}
    cast({{ reason }} as json) {{ '->>' if what == 'code' else '->' }} '{{ what }}'
{%- endmacro %}
