-- one row per class and target that is to have it tonight: made some days before it begins, archived some days after its end

with classes as (
    select * from {{ ref('classes') }}
),

class_targets as (
    select * from {{ ref('class_targets') }}
    where not {{ is_off("target || '.classes'") }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

fitting as (
    select
        classes.class_id,
        classes.starts_on,
        classes.ends_on,
        class_targets.target,
        class_targets.school_number,
        class_targets.days_before,
        class_targets.days_after
    from classes
    inner join class_targets
        on
            classes.kind = class_targets.kind
            and coalesce(class_targets.school_number, classes.school_number) = classes.school_number
),

-- days of its own a school has count before those for all
chosen as (
    {{ deduplicate('fitting', 'class_id, target', 'school_number nulls last') }}
),

final as (
    select
        chosen.class_id,
        chosen.target,
        case when night.as_of > chosen.ends_on + chosen.days_after then 'archived' else 'active' end as state
    from chosen
    cross join night
    where night.as_of >= chosen.starts_on - chosen.days_before
)

select * from final
