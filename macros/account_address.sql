{#- The address people sign in with in a target, as seed targets has it made; null where there is no name. -#}
{% macro account_address(target, account_name, domain) -%}
    replace(replace({{ target }}.address, '{account_name}', {{ account_name }}), '{domain}', {{ domain }})
{%- endmacro %}
