{% test unique_combination_of_columns(model, columns, may_be_null=[]) %}
-- One row per key, and no part of it missing: one scan for what `unique` and `not_null` would ask one by one.
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns if column not in may_be_null %}
    or {{ column }} is null
    {%- endfor %}
{% endtest %}
