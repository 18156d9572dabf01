with properties as (
    select 'manifest.version' as property_name, '1.0' as property_value
    union all
    select 'oneroster.version' as property_name, '1.2' as property_value
    union all
    select 'file.academicSessions' as property_name, 'bulk' as property_value
    union all
    select 'file.categories' as property_name, 'absent' as property_value
    union all
    select 'file.classResources' as property_name, 'absent' as property_value
    union all
    select 'file.classes' as property_name, 'bulk' as property_value
    union all
    select 'file.courseResources' as property_name, 'absent' as property_value
    union all
    select 'file.courses' as property_name, 'bulk' as property_value
    union all
    select 'file.demographics' as property_name, 'absent' as property_value
    union all
    select 'file.enrollments' as property_name, 'bulk' as property_value
    union all
    select 'file.lineItemLearningObjectiveIds' as property_name, 'absent' as property_value
    union all
    select 'file.lineItemScoreScales' as property_name, 'absent' as property_value
    union all
    select 'file.lineItems' as property_name, 'absent' as property_value
    union all
    select 'file.orgs' as property_name, 'bulk' as property_value
    union all
    select 'file.resources' as property_name, 'absent' as property_value
    union all
    select 'file.resultLearningObjectiveIds' as property_name, 'absent' as property_value
    union all
    select 'file.resultScoreScales' as property_name, 'absent' as property_value
    union all
    select 'file.results' as property_name, 'absent' as property_value
    union all
    select 'file.roles' as property_name, 'bulk' as property_value
    union all
    select 'file.scoreScales' as property_name, 'absent' as property_value
    union all
    select 'file.userProfiles' as property_name, 'absent' as property_value
    union all
    select 'file.userResources' as property_name, 'absent' as property_value
    union all
    select 'file.users' as property_name, 'bulk' as property_value
    union all
    select 'source.systemName' as property_name, 'Homeroom' as property_value
    union all
    select 'source.systemCode' as property_name, 'homeroom' as property_value
),

final as (
    select
        properties.property_name,
        properties.property_value
    from properties
)

select * from final
