with schools as (
    select * from {{ ref('schools') }}
),

named as (
    select
        schools.school_number,
        {{ org_unit_name('schools.school_name', 'School', 45) }} as school_name
    from schools
),

final as (
    select
        named.school_number,
        -- two schools with one name stay apart, also for targets that ignore letter case
        case
            when count(*) over (partition by lower(named.school_name)) = 1 then named.school_name
            else named.school_name || ' (' || named.school_number || ')'
        end as school_name
    from named
)

select * from final
