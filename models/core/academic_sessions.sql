with sections as (
    select * from {{ ref('sections') }}
),

night as (
    select {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'run_context') }}
),

-- the year of tonight, and of every class there is
years as (
    select night.school_year from night
    union
    select {{ school_year('sections.ends_on') }} as school_year
    from sections
    where sections.ends_on is not null
),

-- the days core.sections gives its classes: what a class is of is looked up by them
parts as (
    select
        years.school_year,
        'year' as part,
        {{ date_of_year('(years.school_year - 1)', '09-01') }} as starts_on,
        {{ date_of_year('years.school_year', '06-30') }} as ends_on
    from years
    union all
    select
        years.school_year,
        '1' as part,
        {{ date_of_year('(years.school_year - 1)', '09-01') }} as starts_on,
        {{ date_of_year('years.school_year', '01-31') }} as ends_on
    from years
    union all
    select
        years.school_year,
        '2' as part,
        {{ date_of_year('years.school_year', '02-01') }} as starts_on,
        {{ date_of_year('years.school_year', '06-30') }} as ends_on
    from years
),

final as (
    select
        parts.school_year || '-' || parts.part as session_id,
        case parts.part when 'year' then 'schoolYear' else 'semester' end as kind,
        case
            when parts.part = 'year' then (parts.school_year - 1) || '/' || parts.school_year
            else 'Semester ' || parts.part || ' ' || (parts.school_year - 1) || '/' || parts.school_year
        end as title,
        parts.starts_on,
        parts.ends_on,
        case when parts.part <> 'year' then parts.school_year || '-year' end as parent_session_id,
        parts.school_year
    from parts
)

select * from final
