{{ remembered(source('ledger_identity', 'staff_last_seen'), like=['staff']) }}
