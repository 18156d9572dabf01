{{ oneroster_academic_sessions() }}
