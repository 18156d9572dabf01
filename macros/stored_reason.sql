{%- macro stored_reason(reason, what) -%}
    {{ return(adapter.dispatch('stored_reason', 'homeroom')(reason, what)) }}
{%- endmacro %}

{%- macro duckdb__stored_reason(reason, what) -%}
    {{ reason }} {{ '->>' if what == 'code' else '->' }} '$.{{ what }}'
{%- endmacro %}
