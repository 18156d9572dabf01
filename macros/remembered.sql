{% macro remembered(table, like) -%}
    {#- no rows of the columns core has today, then the ledger's: a table that is not there yet is empty, and a column it does not
       have yet is empty in its rows -#}
    {%- set columns = {} %}
    {%- for name in like if execute %}
    {%- for node in graph.get('nodes', {}).values() if node.resource_type == 'model' and node.name == name %}
    {%- do columns.update(node.columns) %}
    {%- endfor %}
    {%- endfor %}
    select
        {%- for column in columns.values() if column.name not in ('is_in_feed', 'last_seen_on') %}
        cast(null as {{ api.Column.translate_type(column.data_type) }}) as {{ column.name }},
        {%- endfor %}
        cast(null as date) as last_seen_on
    where false
    {%- if execute and load_relation(table) %}
    {{ union_by_name() }}
    select * from {{ table }}
    {%- endif %}
{%- endmacro %}
