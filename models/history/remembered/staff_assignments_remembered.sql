{{ remembered(source('ledger_identity', 'staff_assignments_last_seen'), like=['staff_assignments']) }}
