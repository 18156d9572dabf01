{{ oneroster_enrolments(ref('exp_oneroster11__users')) }}
