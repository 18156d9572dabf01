{% set chosen -%}
    select
        owners.class_id,
        owners.person_id
    from owners
    inner join running
        on owners.class_id = running.class_id
{%- endset %}

{% set of_a_class_without_owner -%}
    -- whoever owns one for whom nobody is found stays: a group is never without an owner
    select
        held.class_id,
        held.person_id
    from held
    left join owners
        on held.class_id = owners.class_id
    where owners.person_id is null
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
    where is_teacher
),

users as (
    select * from {{ ref('exp_microsoft__users') }}
),

states as (
    select * from {{ ref('account_states') }}
    where target = 'microsoft' and in_groups
),

owners as (
    select * from {{ ref('class_owners') }}
    where target = 'microsoft'
),

held as (
    select * from {{ ref('stg_microsoft__class_teachers') }}
),

{{ class_list('active_classes', also=[chosen, of_a_class_without_owner]) }}

select * from final
