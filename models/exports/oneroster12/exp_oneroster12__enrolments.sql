{{ oneroster_enrolments(ref('exp_oneroster12__users')) }}
