{{ remembered(source('ledger_identity', 'students_last_seen'), like=['students']) }}
