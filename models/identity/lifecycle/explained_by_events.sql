-- an event explains a person where they stood before it and where they stand now are what it says. A night that was held, or
-- missed, explains the next one as well: the day before the event is what counts, not last night

with records as (
    select * from {{ ref('person_records') }}
),

places_seen as (
    select * from {{ ref('places_seen') }}
),

events as (
    select * from {{ ref('district_events') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

-- who stood in another building goes back in the fortnight after
tonight as (
    select
        events.*,
        night.as_of,
        events.event = 'moves' and events.ends_on < night.as_of as goes_back
    from events
    cross join night
    where
        events.starts_on <= night.as_of
        and case
            when events.event = 'moves' then {{ dbt.dateadd('day', 14, 'events.ends_on') }}
            else events.ends_on
        end >= night.as_of
),

earlier as (
    select
        tonight.event,
        tonight.school_number as of_school,
        tonight.to_school_number,
        tonight.starts_on,
        tonight.goes_back,
        tonight.as_of,
        places_seen.person_id,
        places_seen.school_number,
        places_seen.grade_code,
        places_seen.state,
        row_number() over (
            partition by tonight.event, tonight.school_number, tonight.starts_on, places_seen.person_id
            order by places_seen.seen_on desc, places_seen.school_number asc
        ) as place
    from tonight
    inner join places_seen
        on
            tonight.starts_on > places_seen.seen_on
            or (tonight.goes_back and tonight.to_school_number = places_seen.school_number)
),

stood as (
    select * from earlier
    where place = 1 and state <> 'left'
),

-- who teaches what, as it was before: children go on to another school where theirs does not teach the next grade
taught as (
    select distinct
        stood.event,
        stood.of_school,
        stood.starts_on,
        stood.school_number,
        stood.grade_code
    from stood
    where stood.grade_code is not null
),

compared as (
    select
        stood.*,
        -- a school closes, opens or moves on the day the year turns, or stays so past it: its people are elsewhere a grade up
        exists (
            select 1 from events as rollovers
            where
                rollovers.event = 'rollover'
                and rollovers.starts_on <= stood.as_of
                and rollovers.ends_on >= stood.starts_on
                and coalesce(rollovers.school_number, stood.school_number) = stood.school_number
        ) as is_turned,
        records.population,
        records.school_number as now_school,
        records.grade_code as now_grade,
        records.state as now_state,
        {{ next_grade('stood.grade_code') }} as next_grade,
        taught.school_number is not null as goes_on_here
    from stood
    inner join records
        on stood.person_id = records.person_id
    left join taught
        on
            stood.event = taught.event
            and stood.of_school is not distinct from taught.of_school
            and stood.starts_on = taught.starts_on
            and stood.school_number = taught.school_number
            and {{ next_grade('stood.grade_code') }} = taught.grade_code
),

explained as (
    select
        compared.person_id,
        compared.event,
        compared.starts_on,
        compared.event = 'graduation' as is_over
    from compared
    where
        case compared.event
            when 'rollover'
                then
                    (compared.of_school is null or compared.school_number = compared.of_school)
                    and compared.population = 'student'
                    and compared.now_state <> 'left'
                    and compared.now_grade = compared.next_grade
                    and compared.now_grade <> compared.grade_code
                    and (compared.now_school = compared.school_number or not compared.goes_on_here)
            when 'graduation'
                then
                    (compared.of_school is null or compared.school_number = compared.of_school)
                    and compared.population = 'student'
                    and compared.grade_code = '12'
                    and compared.now_state = 'left'
            when 'holidays' then false
            when 'renamed' then compared.school_number = compared.of_school and compared.now_school = compared.of_school
            when 'opens'
                then
                    compared.now_school = compared.of_school
                    and compared.school_number is distinct from compared.of_school
                    and compared.now_state <> 'left'
                    and (
                        compared.now_grade is not distinct from compared.grade_code
                        or (compared.is_turned and compared.now_grade = compared.next_grade)
                    )
            -- closes, moves: elsewhere, in the same grade, or in the next where the year turned meanwhile
            else
                compared.now_state <> 'left'
                and (
                    compared.now_grade is not distinct from compared.grade_code
                    or (compared.is_turned and compared.now_grade = compared.next_grade)
                )
                and (
                    (
                        compared.school_number = compared.of_school
                        and compared.now_school is distinct from compared.of_school
                        and compared.now_school = coalesce(compared.to_school_number, compared.now_school)
                        and not compared.goes_back
                    )
                    or (
                        compared.goes_back
                        and compared.now_school = compared.of_school
                        and compared.school_number = compared.to_school_number
                    )
                )
        end
),

final as (
    select
        explained.person_id,
        min(explained.event) as event,
        bool_or(explained.is_over) as is_over
    from explained
    group by explained.person_id
)

select * from final
