{%- set tested = [] %}
{%- set untested = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'test' and (node.test_metadata or {}).get('name') == 'personal_data_is_signed' %}
        {%- do tested.append(node.attached_node) %}
    {%- endfor %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.get('meta', {}).get('export') and node.unique_id not in tested %}
        {%- do untested.append(node.name) %}
    {%- endfor %}
{%- endif %}
{%- for name in untested %}
select '{{ name }}' as model
union all
{%- endfor %}
select '' as model where 1 = 0
