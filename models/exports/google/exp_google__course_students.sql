-- somebody is taken out of a course only while it runs: one that is archived takes no change, and one somebody else archived is left alone

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
    where not is_teacher
),

users as (
    select * from {{ ref('exp_google__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'google' and in_groups
),

held as (
    select * from {{ ref('stg_google__course_students') }}
),

{{ class_list('courses') }}

select * from final
