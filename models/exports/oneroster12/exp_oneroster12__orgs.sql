{{ oneroster_orgs() }}
