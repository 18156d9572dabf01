-- the owner is one of them, the one before too until the course is handed over: Classroom takes nobody away who owns it

{% set owners -%}
    select
        courses.class_id,
        courses.owner_id
    from courses
    inner join running
        on courses.class_id = running.class_id
{%- endset %}

{% set owners_before -%}
    select
        owned.class_id,
        owned.owner_id
    from {{ ref('stg_google__courses') }} as owned
    inner join running
        on owned.class_id = running.class_id
{%- endset %}

with courses as (
    select * from {{ ref('exp_google__courses') }}
    where course_state = 'ACTIVE'
),

closed as (
    select * from {{ ref('stg_google__courses') }}
    where course_state = 'ARCHIVED'
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where is_teacher
),

users as (
    select * from {{ ref('exp_google__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

held as (
    select * from {{ ref('stg_google__course_teachers') }}
),

{{ class_list('courses', also=[owners, owners_before]) }}

select * from final
