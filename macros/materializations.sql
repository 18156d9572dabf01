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


{% macro replaced(relation) %}
    {%- set before = load_cached_relation(relation) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=True) -%}
    {%- call statement('main') -%}
        {%- if before is not none %}
        drop {{ before.type }} if exists {{ before }};
        {%- endif %}
        {{ create_table_as(False, relation, model.compiled_code) if relation.is_table else get_create_view_as_sql(relation, model.compiled_code) }}
    {%- endcall -%}
    {%- do run_hooks(post_hooks, inside_transaction=True) -%}
    {%- do adapter.commit() -%}
{% endmacro %}
