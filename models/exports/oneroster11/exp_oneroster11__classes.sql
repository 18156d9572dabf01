{{ oneroster_classes() }}
