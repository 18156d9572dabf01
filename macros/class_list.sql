{#- The last parts of a list of who is in the classes of a target, from its own `classes`, `closed`, `people`, `users`, `states` and `held`:
    class_list('active_classes'). `also` are queries of others who belong there. -#}
{% macro class_list(active, also=[]) -%}
    running as (
        select
            {{ active }}.class_id,
            classes.keeps_people
        from {{ active }}
        inner join classes
            on {{ active }}.class_id = classes.class_id
        left join closed
            on {{ active }}.class_id = closed.class_id
        where closed.class_id is null
    ),

    wanted as (
        select
            people.class_id,
            people.person_id
        from people
        inner join running
            on people.class_id = running.class_id
        inner join states
            on people.person_id = states.person_id

        union
        {% for others in also %}
        {{ others }}

        union
        {% endfor %}
        -- who is in a class that lost its list, is over, or that nobody asks for any more stays in it
        select
            held.class_id,
            held.person_id
        from held
        left join running
            on held.class_id = running.class_id
        where running.class_id is null or running.keeps_people
    ),

    final as (
        select
            wanted.class_id,
            wanted.person_id,
            -- it is a part of the key, of classes nobody asks for any more too
            {{ dbt.split_part('wanted.class_id', "'-'", 2) }} as school_number,
            users.source
        from wanted
        inner join users
            on wanted.person_id = users.person_id
    )
{%- endmacro %}
