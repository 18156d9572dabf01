with absences as (
    {{ without_doubted(ref('intake_absences'), 'student', 'student_number') }}
),

students as (
    select * from {{ ref('students') }}
),

absence_codes as (
    select * from {{ ref('absence_codes') }}
),

final as (
    select
        {{ text_hash(
            "absences.student_number || '|' || absences.absence_on || '|' || absences.kind || '|' || "
            ~ "coalesce(absences.part_of_day, '') || '|' || coalesce(absences.timetable_id, absences.course_code, '')"
        ) }} as absence_id,
        absences.student_number,
        coalesce(absences.school_number, students.school_number) as school_number,
        absences.absence_on,
        absences.kind,
        absences.part_of_day,
        absences.period,
        absences.course_code,
        absences.absence_code,
        absences.reason_code,
        coalesce(absences.is_authorized, absence_codes.is_authorized, false) as is_authorized,
        coalesce(absence_codes.is_late, false) as is_late
    from absences
    inner join students on absences.student_number = students.student_number
    left join absence_codes on upper(absences.absence_code) = absence_codes.absence_code
)

select * from final
