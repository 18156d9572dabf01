{%- set missing = [] %}
{%- if execute %}
    {%- for export in graph.nodes.values() if export.resource_type == 'model' and export.config.get('meta', {}).get('export') %}
        {%- set meta = export.config.meta.export %}
        {%- for observed in graph.nodes.values() if observed.name == 'stg_' ~ meta.target ~ '__' ~ meta.entity %}
            {%- for column in export.columns if column not in meta.get('context', []) and column not in observed.columns
                and export.columns[column].config.meta.get('role') != 'password' %}
                {%- do missing.append((observed.name, column)) %}
            {%- endfor %}
        {%- endfor %}
    {%- endfor %}
{%- endif %}
{%- for model, column in missing %}
select '{{ model }}' as model, '{{ column }}' as column_name
union all
{%- endfor %}
select '' as model, '' as column_name where 1 = 0
