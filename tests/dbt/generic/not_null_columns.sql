{% test not_null_columns(model, columns) %}
-- No row leaves any of these columns empty: one scan for several `not_null`.
select {{ columns | join(', ') }}
from {{ model }}
where
    {%- for column in columns %}
    {% if not loop.first %}or {% endif %}{{ column }} is null
    {%- endfor %}
{% endtest %}
