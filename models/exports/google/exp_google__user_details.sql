with users as (
    select * from {{ ref('exp_google__users') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('google_details') }}
),

there as (
    select * from {{ ref('stg_google__user_details') }}
),

worded as (
    {{ details_of('users', 'holders', 'rules', 'primary_email', 'not users.suspended') }}
),

said as (
    select
        worded.person_id,
        min(worded.source) as source,
        min(worded.export_school) as school_number,
        max(case when worded.field = 'employee_id' then worded.value end) as employee_id,
        bool_or(worded.field = 'employee_id') as has_employee_id,
        max(case when worded.field = 'job_title' then worded.value end) as job_title,
        bool_or(worded.field = 'job_title') as has_job_title,
        max(case when worded.field = 'department' then worded.value end) as department,
        bool_or(worded.field = 'department') as has_department,
        max(case when worded.field = 'cost_center' then worded.value end) as cost_center,
        bool_or(worded.field = 'cost_center') as has_cost_center,
        max(case when worded.field = 'manager' then worded.value end) as manager,
        bool_or(worded.field = 'manager') as has_manager,
        max(case when worded.field = 'location' then worded.value end) as location,
        bool_or(worded.field = 'location') as has_location,
        max(case when worded.field = 'building' then worded.value end) as building,
        bool_or(worded.field = 'building') as has_building,
        max(case when worded.field = 'school' then worded.value end) as school,
        bool_or(worded.field = 'school') as has_school,
        max(case when worded.field = 'grade' then worded.value end) as grade,
        bool_or(worded.field = 'grade') as has_grade,
        max(case when worded.field = 'homeroom' then worded.value end) as homeroom,
        bool_or(worded.field = 'homeroom') as has_homeroom
    from worded
    group by worded.person_id
),

-- what no row fills stays as it is
final as (
    select
        said.person_id,
        case when said.has_employee_id then said.employee_id else there.employee_id end as employee_id,
        case when said.has_job_title then said.job_title else there.job_title end as job_title,
        case when said.has_department then said.department else there.department end as department,
        case when said.has_cost_center then said.cost_center else there.cost_center end as cost_center,
        case when said.has_manager then said.manager else there.manager end as manager,
        case when said.has_location then said.location else there.location end as location,
        case when said.has_building then said.building else there.building end as building,
        case when said.has_school then said.school else there.school end as school,
        case when said.has_grade then said.grade else there.grade end as grade,
        case when said.has_homeroom then said.homeroom else there.homeroom end as homeroom,
        said.school_number,
        said.source
    from said
    left join there
        on said.person_id = there.person_id
)

select * from final
