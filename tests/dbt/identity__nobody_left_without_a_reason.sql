-- counted here in another way than in audit.feed_loads, so that one mistake is not made twice
with people as (
    select
        {{ person_id("'student'", 'students.student_number') }} as person_id,
        'student' as population,
        students.enrolment_status = 'inactive' as left_by_record,
        students.source_file
    from {{ ref('students_last_seen') }} as students
    union all
    select
        {{ person_id("'staff'", 'staff.staff_key') }} as person_id,
        'staff' as population,
        not staff.is_active or coalesce(staff.ended_on < night.as_of, false) as left_by_record,
        staff.source_file
    from {{ ref('staff_last_seen') }} as staff
    cross join {{ source('homeroom', 'run_context') }} as night
),

-- whom human resources once listed may be absent from its feeds alone
files as (
    select
        people.person_id,
        people.source_file
    from people
    union
    select
        {{ person_id("'staff'", 'staff.staff_key') }} as person_id,
        staff.hr_source_file as source_file
    from {{ ref('staff_last_seen') }} as staff
    where staff.hr_source_file is not null
),

last_read as (
    select
        files.source,
        files.feed,
        files.file || '#' || substr(files.sha256, 1, 12) as source_file,
        max(files.read_at) as read_at
    from {{ source('ledger_audit', 'source_files') }} as files
    where files.status in ('loaded', 'unchanged')
    group by 1, 2, 3
),

feeds_of_files as (
    select
        files.person_id,
        files.source_file,
        count(distinct source_files.sha256) as feeds
    from files
    inner join last_read on files.source_file = last_read.source_file
    inner join {{ source('ledger_audit', 'source_files') }} as source_files
        on
            last_read.source = source_files.source
            and last_read.feed = source_files.feed
            and last_read.read_at < source_files.read_at
            and source_files.status = 'loaded'
    group by 1, 2
),

good_feeds as (
    select
        feeds_of_files.person_id,
        max(feeds_of_files.feeds) as feeds
    from feeds_of_files
    group by 1
)

select lifecycle.person_id
from {{ ref('lifecycle') }} as lifecycle
inner join people on lifecycle.person_id = people.person_id
left join {{ ref('absence_policy') }} as policy on people.population = policy.population
left join good_feeds on lifecycle.person_id = good_feeds.person_id
where
    lifecycle.record = 'left'
    and not people.left_by_record
    and lifecycle.reason not in ('key_handed_on', 'merged')
    and (policy.good_feeds_before_left is null or coalesce(good_feeds.feeds, 0) < policy.good_feeds_before_left)
