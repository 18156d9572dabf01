-- What: no two org units differ by letter case only.
-- When it matters: Google compares names of siblings without case; the second could never be created.
-- To resolve: mend the spelling at the source, or the rule in macros/student_org_unit_path.sql.
select lower(org_units.org_unit_path) as org_unit_path
from {{ ref('exp_google__org_units') }} as org_units
group by lower(org_units.org_unit_path)
having count(*) > 1
