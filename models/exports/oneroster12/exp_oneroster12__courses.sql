{{ oneroster_courses() }}
