{%- set exports = [] %}
{%- set columns = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.get('meta', {}).get('export') %}
        {%- do exports.append(node) %}
        {%- for column in node.columns %}
            {%- do columns.append(node.name ~ '.' ~ column) %}
        {%- endfor %}
    {%- endfor %}
{%- endif %}
{%- for export in exports %}
select model, column_name, personal_data from ({{ unsigned_columns(export, graph.nodes) }}) as unsigned
union all
{%- endfor %}
-- a signature for a column that is not there would be found again by whoever adds one of that name
select register.model, register.column_name, register.personal_data
from {{ ref('privacy_register') }} as register
where register.model || '.' || register.column_name not in ('{{ columns | join("', '") }}')
