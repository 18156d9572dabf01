with daily_absences as (
    select * from {{ ref('stg_myedbc__daily_absences') }}
),

period_absences as (
    select * from {{ ref('stg_myedbc__period_absences') }}
),

half_days as (
    {% for part_of_day in ['AM', 'PM'] %}
    select
        daily_absences.student_number,
        daily_absences.school_number,
        daily_absences.absence_on,
        '{{ part_of_day }}' as part_of_day,
        daily_absences.absent_code_{{ part_of_day | lower }} as absence_code,
        daily_absences.reason_code_{{ part_of_day | lower }} as reason_code,
        daily_absences.is_authorized_{{ part_of_day | lower }} as is_authorized,
        daily_absences.source_file,
        daily_absences.source_line
    from daily_absences
    where daily_absences.absent_code_{{ part_of_day | lower }} is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

all_absences as (
    select
        half_days.student_number,
        half_days.school_number,
        half_days.absence_on,
        'daily' as kind,
        half_days.part_of_day,
        cast(null as {{ dbt.type_string() }}) as timetable_id,
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
        period_absences.course_code,
        period_absences.absence_category as absence_code,
        period_absences.absence_sub_allocation_code as reason_code,
        period_absences.is_authorized,
        period_absences.source_file,
        period_absences.source_line
    from period_absences
),

final as (
    select * from all_absences
    where all_absences.student_number is not null and all_absences.absence_on is not null
)

select * from final
