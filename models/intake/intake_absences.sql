with daily_absences as (
    select * from {{ ref('stg_myedbc__daily_absences') }}
),

period_absences as (
    select * from {{ ref('stg_myedbc__period_absences') }}
),

sections as (
    select * from {{ ref('intake_sections') }}
),

mornings as (
    select
        student_number,
        school_number,
        absence_on,
        'daily' as kind,
        'AM' as part_of_day,
        absent_code_am as absence_code,
        reason_code_am as reason_code,
        is_authorized_am as is_authorized,
        source_file,
        source_line
    from daily_absences
    where absent_code_am is not null
),

afternoons as (
    select
        student_number,
        school_number,
        absence_on,
        'daily' as kind,
        'PM' as part_of_day,
        absent_code_pm as absence_code,
        reason_code_pm as reason_code,
        is_authorized_pm as is_authorized,
        source_file,
        source_line
    from daily_absences
    where absent_code_pm is not null
),

half_days as (
    select * from mornings
    union all
    select * from afternoons
),

all_absences as (
    select
        half_days.student_number,
        half_days.school_number,
        half_days.absence_on,
        half_days.kind,
        half_days.part_of_day,
        cast(null as {{ dbt.type_string() }}) as timetable_id,
        cast(null as {{ dbt.type_string() }}) as period,
        cast(null as {{ dbt.type_string() }}) as course_code,
        half_days.absence_code,
        half_days.reason_code,
        half_days.is_authorized,
        half_days.source_file,
        half_days.source_line
    from half_days
    union all
    select
        period_absences.student_number,
        period_absences.school_number,
        period_absences.absence_on,
        'period' as kind,
        cast(null as {{ dbt.type_string() }}) as part_of_day,
        period_absences.master_timetable_id as timetable_id,
        sections.period,
        period_absences.course_code,
        period_absences.absence_category as absence_code,
        period_absences.absence_sub_allocation_code as reason_code,
        period_absences.is_authorized,
        period_absences.source_file,
        period_absences.source_line
    from period_absences
    left join sections on period_absences.master_timetable_id = sections.timetable_id
),

known_absences as (
    select * from all_absences
    where student_number is not null and absence_on is not null
),

-- a register sent twice is one absence; the later line is the correction
one_per_absence as (
    {{ deduplicate(
        'known_absences',
        'student_number, absence_on, part_of_day, coalesce(timetable_id, course_code)',
        'source_line desc',
    ) }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_absence.student_number,
        one_per_absence.school_number,
        one_per_absence.absence_on,
        one_per_absence.kind,
        one_per_absence.part_of_day,
        one_per_absence.timetable_id,
        one_per_absence.period,
        one_per_absence.course_code,
        one_per_absence.absence_code,
        one_per_absence.reason_code,
        one_per_absence.is_authorized,
        one_per_absence.source_file,
        one_per_absence.source_line
    from one_per_absence
)

select * from final
