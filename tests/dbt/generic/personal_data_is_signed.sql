{% test personal_data_is_signed(model) %}
-- depends_on: {{ ref('privacy_register') }}
{%- set export = namespace(node=none) %}
{%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model.identifier %}
        {%- set export.node = node %}
    {%- endfor %}
{%- endif %}
{%- if export.node is none %}
select '{{ model.identifier }}' as model
{%- else %}
select model, column_name, personal_data, allowed from ({{ unsigned_columns(export.node, graph.nodes) }}) as unsigned
{%- endif %}
{% endtest %}
