select sections.section_id
from {{ ref('sections') }} as sections
inner join {{ ref('pseudo_courses') }} as pseudo_courses
    on upper(sections.course_code) = upper(pseudo_courses.course_code)
