with records as (
    select distinct 'sis ' || sis_key as record from {{ ref('intake_staff') }}
    union all
    select 'hr ' || staff_id as record from {{ ref('intake_employees') }}
),

pairs as (
    select
        staff_matches.sis_key,
        staff_matches.hr_staff_id
    from {{ ref('staff_matches') }} as staff_matches
    union all
    -- a record nobody knows the owner of is nobody's yet
    select
        staff_keys.sis_key,
        staff_keys.hr_staff_id
    from {{ ref('staff_keys') }} as staff_keys
    inner join {{ ref('doubted_records') }} as doubted
        on doubted.population = 'staff' and staff_keys.staff_key = doubted.source_key
),

placed as (
    select 'sis ' || pairs.sis_key as record from pairs
    union all
    select 'hr ' || pairs.hr_staff_id as record from pairs
)

select records.record
from records
left join placed on records.record = placed.record
group by records.record
having count(placed.record) <> 1
