{{ remembered(source('ledger_identity', 'classes_last_seen'), like=['classes']) }}
