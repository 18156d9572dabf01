{% test oneroster_rules(model, orgs, sessions, courses, classes, users, roles=none) %}
-- The tables of a bulk OneRoster package hold together; `model` is enrollments, `roles` a table of 1.2 alone. That ids are there once and
-- references resolve one by one, keys and tests of their own say; here is what takes more than one column.
{%- set files = {'orgs': orgs, 'academicSessions': sessions, 'courses': courses, 'classes': classes, 'users': users, 'enrollments': model} %}
{%- if roles is not none %}{% do files.update({'roles': roles}) %}{% endif %}
with

org_schools as (
    select sourced_id from {{ orgs }}
    where type = 'school'
),

user_orgs as (
    {%- if roles is none %}
    select
        sourced_id as user_id,
        role,
        {{ split_to_rows('org_sourced_ids') }} as org_id
    from {{ users }}
    {%- else %}
    select
        user_sourced_id as user_id,
        role,
        org_sourced_id as org_id
    from {{ roles }}
    {%- endif %}
),

{% for name, table in files.items() -%}
speaking_{{ name | lower }} as (
    select
        '{{ name }}: status or date in a bulk file' as rule,
        sourced_id
    from {{ table }}
    where status is not null or date_last_modified is not null
),

twice_{{ name | lower }} as (
    select
        '{{ name }}: an id twice' as rule,
        sourced_id
    from {{ table }}
    group by sourced_id
    having count(*) > 1 or sourced_id is null
),

{% endfor -%}
placeless as (
    select
        'users: somebody of no school' as rule,
        users.sourced_id
    from {{ users }} as users
    where not exists (select 1 from user_orgs where user_orgs.user_id = users.sourced_id and user_orgs.org_id <> '')
),

misplaced as (
    select
        'users: a school nobody lists' as rule,
        user_orgs.user_id as sourced_id
    from user_orgs
    where user_orgs.org_id not in (select org_schools.sourced_id from org_schools)
),

homeless as (
    select
        'classes: at no school' as rule,
        classes.sourced_id
    from {{ classes }} as classes
    where classes.school_sourced_id is null or classes.school_sourced_id not in (select org_schools.sourced_id from org_schools)
),

termless as (
    select
        'classes: of no term' as rule,
        classes.sourced_id
    from {{ classes }} as classes
    where
        classes.term_sourced_ids is null
        or classes.term_sourced_ids not in (select sessions.sourced_id from {{ sessions }} as sessions)
),

courseless as (
    select
        'classes: of no course' as rule,
        classes.sourced_id
    from {{ classes }} as classes
    where
        classes.course_sourced_id is null
        or classes.course_sourced_id not in (select courses.sourced_id from {{ courses }} as courses)
),

strangers as (
    select
        'enrollments: of nobody, or in no class of that school' as rule,
        enrollments.sourced_id
    from {{ model }} as enrollments
    left join {{ classes }} as classes
        on
            enrollments.class_sourced_id = classes.sourced_id
            and enrollments.school_sourced_id = classes.school_sourced_id
    left join {{ users }} as users on enrollments.user_sourced_id = users.sourced_id
    where classes.sourced_id is null or users.sourced_id is null
),

primaries as (
    select
        'enrollments: several primary teachers' as rule,
        enrollments.class_sourced_id as sourced_id
    from {{ model }} as enrollments
    where enrollments.is_primary = 'true'
    group by enrollments.class_sourced_id
    having count(*) > 1
),

learners as (
    select
        'enrollments: primary, and no teacher' as rule,
        enrollments.sourced_id
    from {{ model }} as enrollments
    where
        (enrollments.role <> 'teacher' and enrollments.is_primary is not null)
        or (enrollments.role = 'teacher' and coalesce(enrollments.is_primary, '') not in ('true', 'false'))
),

turned as (
    select
        'academicSessions: ends before it begins, or outside its year' as rule,
        sessions.sourced_id
    from {{ sessions }} as sessions
    left join {{ sessions }} as parents on sessions.parent_sourced_id = parents.sourced_id
    where
        sessions.start_date >= sessions.end_date
        or sessions.start_date < parents.start_date
        or sessions.end_date > parents.end_date
)

{% set rules = ['placeless', 'misplaced', 'homeless', 'termless', 'courseless', 'strangers', 'primaries', 'learners', 'turned'] -%}
{%- for name in files %}{% do rules.extend(['speaking_' ~ name | lower, 'twice_' ~ name | lower]) %}{% endfor -%}
{%- for rule in rules %}
select * from {{ rule }}
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{% endtest %}
