{#- Columns of an export that nobody classed, or whose class nobody signed for. `export` is its node in the graph. -#}
{% macro unsigned_columns(export) -%}
    {%- set classes = ['none', 'key', 'name', 'contact', 'birth', 'address', 'family', 'attendance', 'enrolment'] -%}
    select
        declared.model,
        declared.column_name,
        declared.personal_data
    from (
        {%- for column in export.columns.values() %}
        select
            '{{ export.name }}' as model,
            '{{ column.name }}' as column_name,
            '{{ (column.config.meta if column.config else {}).get('personal_data', 'unclassed') }}' as personal_data
        union all
        {%- endfor %}
        select '' as model, '' as column_name, 'none' as personal_data
    ) as declared
    left join {{ ref('privacy_register') }} as register
        on
            declared.model = register.model
            and declared.column_name = register.column_name
            and declared.personal_data = register.personal_data
            and register.signed_by is not null
            and register.signed_on is not null
    where
        declared.personal_data not in ('none', 'key')
        and (
            register.model is null
            or declared.personal_data not in ('{{ classes | join("', '") }}')
        )
{%- endmacro %}
