{% macro to_boolean(text) -%}
    case
        when lower(trim({{ text }})) in ('y', 'yes', 'true', 't', '1') then true
        when lower(trim({{ text }})) in ('n', 'no', 'false', 'f', '0') then false
    end
{%- endmacro %}
