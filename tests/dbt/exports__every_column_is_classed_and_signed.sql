-- depends_on: {{ ref('privacy_register') }}
{%- set exports = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.get('meta', {}).get('export') %}
        {%- do exports.append(node) %}
    {%- endfor %}
{%- endif %}
{%- for export in exports %}
select model, column_name, personal_data from ({{ unsigned_columns(export) }}) as unsigned
union all
{%- endfor %}
select '' as model, '' as column_name, '' as personal_data where 1 = 0
