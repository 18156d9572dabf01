{#- The night of so many on which it is somebody's turn, 0 for the first: by the person id, so that it is the same every night. -#}
{% macro turn_of_person(person_id, nights) -%}
    (
        {{ dbt.position('substr(' ~ person_id ~ ', 3, 1)', "'0123456789abcdef'") }} * 16
        + {{ dbt.position('substr(' ~ person_id ~ ', 4, 1)', "'0123456789abcdef'") }}
    ) % ({{ nights }} + 1)
{%- endmacro %}
