{%- set fields = {
    'employee_id': 16,
    'company_name': 64,
    'office_location': 128,
    'age_group': none,
    'consent_provided_for_minor': none,
    'extension_attribute_1': 1024,
    'extension_attribute_2': 1024,
    'extension_attribute_3': 1024,
    'extension_attribute_4': 1024,
    'extension_attribute_5': 1024,
    'extension_attribute_6': 1024,
    'extension_attribute_7': 1024,
    'extension_attribute_8': 1024,
    'extension_attribute_9': 1024,
    'extension_attribute_10': 1024,
    'extension_attribute_11': 1024,
    'extension_attribute_12': 1024,
    'extension_attribute_13': 1024,
    'extension_attribute_14': 1024
} -%}

with details as (
    select * from {{ ref('microsoft__details') }}
    where field <> 'manager'
),

there as (
    select * from {{ ref('stg_microsoft__user_details') }}
),

said as (
    select
        details.person_id,
        {%- for field, most in fields.items() %}
        max(case when details.field = '{{ field }}' then {{ truncate_text('details.value', most) if most else 'details.value' }} end) as {{ field }},
        bool_or(details.field = '{{ field }}') as has_{{ field }},
        {%- endfor %}
        min(details.school_number) as school_number,
        min(details.source) as source
    from details
    group by details.person_id
),

-- what no row fills stays as it is
final as (
    select
        said.person_id,
        {%- for field in fields %}
        case when said.has_{{ field }} then said.{{ field }} else there.{{ field }} end as {{ field }},
        {%- endfor %}
        said.school_number,
        said.source
    from said
    left join there
        on said.person_id = there.person_id
)

select * from final
