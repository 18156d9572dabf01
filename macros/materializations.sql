{#-
    Tables and views, replaced inside one transaction: DuckDB's own DDL is transactional, so the adapter's dance of
    intermediate, backup and two renames per model buys nothing and costs a sixth of the build. A model that fails
    leaves yesterday's relation as it was. No grants, indexes or Python models: none is used here.
-#}
{% materialization table, adapter='duckdb' %}
    {%- do replaced(this.incorporate(type='table')) -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}


{% materialization view, adapter='duckdb' %}
    {%- do replaced(this.incorporate(type='view')) -%}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{% materialization table, adapter='postgres' %}
    {%- do replaced(this.incorporate(type='table'), ' cascade') -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}


{#- PostgreSQL writes the text of a view in where it is read, and plans a chain of twenty for a minute: there it is a table. -#}
{% materialization view, adapter='postgres' %}
    {%- do replaced(this.incorporate(type='table'), ' cascade') -%}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{#- An export, or what stands beside it, of a target that is off is built without a row: nothing of it goes stale. -#}
{% macro replaced(relation, what_rests_on_it='') %}
    {%- set said = model.config.get('meta', {}).get('export', {}).get('target') -%}
    {%- set target = said or (model.fqn[2] if model.fqn[1] == 'exports') -%}
    {%- set part = (target or '') ~ '.' ~ model.config.get('meta', {}).get('export', {}).get('opt_in', '') -%}
    {%- set off = fromjson(env_var('HOMEROOM_SEEDS', '{}')).get('off', []) -%}
    {%- set query = model.compiled_code -%}
    {%- if target and (target in off or part in off) -%}
        {%- set query = 'select * from (\n' ~ query ~ '\n) as built where 1 = 0' -%}
    {%- endif -%}
    {%- set before = load_cached_relation(relation) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=True) -%}
    {%- call statement('main') -%}
        {%- if before is not none %}
        drop {{ before.type }} if exists {{ before }}{{ what_rests_on_it }};
        {%- endif %}
        {{ create_table_as(False, relation, query) if relation.is_table else get_create_view_as_sql(relation, query) }}
    {%- endcall -%}
    {%- do run_hooks(post_hooks, inside_transaction=True) -%}
    {%- do adapter.commit() -%}
{% endmacro %}
