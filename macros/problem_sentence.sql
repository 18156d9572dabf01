{%- macro problem_sentence(problem, around, values) -%}
    case
        when {{ around }}.sentence is null then {{ rendered(problem ~ '.sentence', values) }}
        else
            {{ rendered(around ~ '.sentence', problem_values({'problem': rendered(problem ~ '.sentence', values)}, onto=values)) }}
    end
{%- endmacro %}
