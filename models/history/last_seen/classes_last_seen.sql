{{ config(unique_key='class_id') }}

with classes as (
    select * from {{ ref('classes') }}
),

final as (
    select {{ all_but('classes', ['is_listed', 'keeps_people']) }}
    from classes
    where classes.is_listed
)

select * from final
