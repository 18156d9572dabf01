{#-
    Columns of an export that nobody classed, whose class nobody signed for, or that the privacy register classes otherwise: a column does not
    leave the register by being called something else. And what it does with families that it may not. `export` is its node
    in the graph, `nodes` all of them. A district adds a class in `vars: more_personal_data_classes` of dbt_project.yml.
-#}
{% macro unsigned_columns(export, nodes) -%}
    {%- set faults = [] -%}
    {%- do family_faults(export, nodes, faults) -%}
    {%- set classes = ['none', 'key', 'name', 'contact', 'birth', 'address', 'family', 'attendance', 'enrolment'] + var('more_personal_data_classes', []) -%}
    select
        declared.model,
        declared.column_name,
        declared.personal_data,
        '{{ classes | join(", ") }}' as allowed
    from (
        {%- for column in export.columns.values() %}
        select
            '{{ export.name }}' as model,
            '{{ column.name }}' as column_name,
            '{{ (column.config.meta if column.config else {}).get('personal_data', 'unclassed') }}' as personal_data
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- endfor %}
    ) as declared
    left join {{ ref('privacy_register') }} as register
        on
            declared.model = register.model
            and declared.column_name = register.column_name
    where
        declared.personal_data not in ('{{ classes | join("', '") }}')
        or (register.model is not null and declared.personal_data is distinct from register.personal_data)
        or (declared.personal_data not in ('none', 'key') and (register.signed_by is null or register.signed_on is null))
    {%- for fault in faults %}
    union all
    select
        '{{ export.name }}' as model,
        '{{ fault.column }}' as column_name,
        '{{ fault.what }}' as personal_data,
        '{{ classes | join(", ") }}' as allowed
    {%- endfor %}
{%- endmacro %}
