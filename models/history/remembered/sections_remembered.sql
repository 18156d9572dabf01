{{ remembered(source('ledger_identity', 'sections_last_seen'), like=['sections']) }}
