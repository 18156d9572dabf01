{#-
    What an export does with families that it may not: it has a column of class `family` that does not come from `family_contacts`,
    or it reaches what is known of contacts by another way than through the doors.
-#}
{% macro family_faults(export, nodes, faults) -%}
    {%- set doors = ['family_contacts', 'family_telephones'] -%}
    {%- set rooms = ['student_guardians', 'guardians', 'barred_ways', 'intake_contacts', 'intake_barred_ways', 'student_guardians_remembered'] -%}
    {%- set seen, doors_met = [], [] -%}
    {%- set by_id = {} -%}
    {%- for node in nodes.values() -%}
        {%- do by_id.update({node.unique_id: node}) -%}
    {%- endfor -%}
    {%- set state = namespace(next=[export.unique_id]) -%}
    {%- for _ in range(100) if state.next -%}
        {%- set coming = [] -%}
        {%- for id in state.next if id in by_id and id not in seen -%}
            {%- do seen.append(id) -%}
            {%- for parent in by_id[id].depends_on.nodes -%}
                {%- set name = parent.split('.') | last -%}
                {%- if name in doors -%}
                    {%- do doors_met.append(name) -%}
                {%- elif name in rooms or (not name.startswith('exp_') and ('contacts' in name or 'parents' in name)) -%}
                    {%- do faults.append({'column': name, 'what': 'families not by way of family_contacts'}) -%}
                {%- else -%}
                    {%- do coming.append(parent) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set state.next = coming -%}
    {%- endfor -%}
    {%- if 'family_contacts' not in doors_met -%}
        {%- for column in export.columns.values() if column.config and column.config.meta.get('personal_data') == 'family' -%}
            {%- do faults.append({'column': column.name, 'what': 'family not by way of family_contacts'}) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
