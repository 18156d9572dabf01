select lower(org_units.org_unit_path) as org_unit_path
from {{ ref('exp_google__org_units') }} as org_units
group by lower(org_units.org_unit_path)
having count(*) > 1
