select org_units.org_unit_path
from {{ ref('exp_google__org_units') }} as org_units
left join {{ ref('exp_google__org_units') }} as parents
    on org_units.parent_org_unit_path = parents.org_unit_path
where
    parents.org_unit_path is null
    and org_units.parent_org_unit_path <> '/'
