-- whoever teaches is a member too: Microsoft wants teachers in both lists

{% set teachers -%}
    select
        teachers.class_id,
        teachers.person_id
    from {{ ref('exp_microsoft__class_teachers') }} as teachers
{%- endset %}

with active_classes as (
    select * from {{ ref('exp_microsoft__classes') }}
    where state = 'active'
),

closed as (
    select * from {{ ref('stg_microsoft__class_teams') }}
    where is_archived
),

classes as (
    select * from {{ ref('classes') }}
),

people as (
    select * from {{ ref('class_people') }}
    where not is_teacher
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'microsoft' and in_groups
),

held as (
    select * from {{ ref('stg_microsoft__class_members') }}
),

{{ class_list('active_classes', also=[teachers]) }}

select * from final
