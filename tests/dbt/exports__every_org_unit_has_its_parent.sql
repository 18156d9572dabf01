-- What: every org unit's parent is exported too, or is the root.
-- When it matters: a child cannot be created before its parent, and the accounts in it would fail.
-- To resolve: the tree is deeper than deepest_level in models/exports/google/exp_google__org_units.sql; raise it.
select org_units.org_unit_path
from {{ ref('exp_google__org_units') }} as org_units
left join {{ ref('exp_google__org_units') }} as parents
    on org_units.parent_org_unit_path = parents.org_unit_path
where
    parents.org_unit_path is null
    and org_units.parent_org_unit_path <> '/'
