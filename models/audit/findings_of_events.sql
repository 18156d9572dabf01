-- in so many days somebody has written the row, or the move was let go by hand
{% set days = 14 %}
-- a school of two is no school that closes
{% set fewest = 3 %}

with records as (
    select * from {{ ref('person_records') }}
    where population = 'student'
),

places_seen as (
    select * from {{ ref('places_seen') }}
),

explained as (
    select * from {{ ref('explained_by_events') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

recent as (
    select places_seen.*
    from places_seen
    cross join night
    where places_seen.seen_on <= {{ dbt.dateadd('day', -days, 'night.as_of') }}
),

stood as (
    {{ deduplicate('recent', 'person_id', 'seen_on desc, school_number') }}
),

-- where there is nothing older than the fortnight, what was seen first
first_seen as (
    {{ deduplicate('places_seen', 'person_id', 'seen_on asc, school_number') }}
),

compared as (
    select
        coalesce(stood.school_number, first_seen.school_number) as before_school,
        records.school_number as now_school,
        records.state,
        records.is_in_feed,
        explained.person_id is not null as is_explained
    from records
    inner join first_seen
        on records.person_id = first_seen.person_id
    left join stood
        on records.person_id = stood.person_id
    left join explained
        on records.person_id = explained.person_id
    where coalesce(stood.state, first_seen.state) <> 'left'
),

moved as (
    select
        compared.before_school,
        min(compared.now_school) as now_school,
        count(*) as students
    from compared
    where compared.before_school is not null
    group by compared.before_school
    having
        count(*) >= {{ fewest }}
        and count(distinct compared.now_school) = 1
        and min(compared.now_school) <> compared.before_school
        and bool_and(compared.is_in_feed and compared.state <> 'left' and compared.now_school is not null)
        and not bool_or(compared.is_explained)
),

final as (
    select
        'school_stands_elsewhere' as code,
        '' as source,
        '' as target,
        'students' as entity,
        moved.before_school as school_number,
        '' as key,
        {{ problem_values({
            'school': 'moved.before_school',
            'other': 'moved.now_school',
            'students': people_counted('moved.students'),
            'day': 'cast(night.as_of as ' ~ dbt.type_string() ~ ')',
        }) }} as values,
        '' as owner
    from moved
    cross join night
)

select * from final
