with records as (
    select distinct 'sis ' || sis_key as record from {{ ref('intake_staff') }}
    union all
    select 'hr ' || staff_id as record from {{ ref('intake_employees') }}
),

placed as (
    select 'sis ' || sis_key as record from {{ ref('staff_matches') }}
    union all
    select 'hr ' || hr_staff_id as record from {{ ref('staff_matches') }}
)

select records.record
from records
left join placed on records.record = placed.record
group by records.record
having count(placed.record) <> 1
