"""The entities of Google Workspace, one row each: the calls of the Directory API and of Classroom
by the names their library has for them
(https://developers.google.com/workspace/admin/directory/reference/rest,
https://developers.google.com/workspace/classroom/reference/rest).

Settings of groups are another API's
(https://developers.google.com/workspace/admin/groups-settings/v1/reference/groups).

The key of a user is `person_id` in our custom schema, of a group its externalIds entry of namespace
`homeroom`, of an org unit its path, of a schema its name, of a course its alias in the domain
(`d:…`): a course made with an alias that is taken is refused, so that none is made twice.
"""

from __future__ import annotations

from reverse_etl.targets.entity import Entity, Route
from reverse_etl.targets.fields import field

SCHEMA = "Homeroom"  # our custom schema on users
USERS_PER_PAGE, GROUPS_PER_PAGE, MEMBERS_PER_PAGE = 500, 200, 200  # the most Google allows
KEEPS_DELETED_DAYS = 20  # https://support.google.com/a/answer/1397578
OF_CUSTOMER = {"customer": "{customer}", "maxResults": "{page}"}
ONE = {"customer": "{customer}", "maxResults": "1"}
SECURITY = "admin.directory.user.security"
IN_CUSTOMER = {"customerId": "{customer}"}
# users carry our key only when asked for it
WITH_KEY = {"projection": "custom", "customFieldMask": SCHEMA}
USER, GROUP, UNIT = {"userKey": "{id}"}, {"groupKey": "{id}"}, {"orgUnitPath": "{path}"}
MEMBER = {"groupKey": "{group_id}", "memberKey": "{person_id}"}
ID = {"fields": "id"}
SETTINGS_OF = {"groupUniqueId": "{email}"}
LICENCES_PER_PAGE = 1000
LICENCE = {"productId": "{product}", "skuId": "{sku}", "userId": "{user}"}
# whose directory it is: the licensing API knows no my_customer
CUSTOMER = Route(
    "users.list",
    {"customer": "{customer}", "maxResults": "1", "fields": "users(customerId)"},
    permission="admin.directory.user",
)
# lists on an account in which others write too: replaced whole, so they are read first
LISTS = ("externalIds", "organizations", "relations", "locations")
# a list of courses shows no alias, and an alias of ours is the key
COURSE_KEYS = Route(
    "course_aliases.list", {"courseId": "{id}", "fields": "aliases"}, permission="classroom.courses"
)
BESIDE = (CUSTOMER, COURSE_KEYS)  # calls no row below has
COURSES_PER_PAGE, ROSTER_PER_PAGE = 500, 100
COURSE = {"courseId": "{class_id}"}
IN_COURSE = COURSE | {"userId": "{person_id}"}
ROSTER = {"courseId": "{owner}", "pageSize": "{page}"}


def roster(name: str) -> Entity:
    """Teachers or students of a course: put in directly, without an invitation."""
    role = name.removeprefix("course_")
    return Entity(
        name,
        remote_id="userId",
        items=role,
        page=ROSTER_PER_PAGE,
        observed=(field("class_remote_id", "class_remote_id"), field("member_remote_id", "userId")),
        links=("class_id", "person_id"),
        listed_per="courses",
        opt_in="classes",
        permission="classroom.rosters",
        probes={"classroom.rosters": Route(f"{name}.list", ROSTER | {"pageSize": "1"})},
        routes={
            "of": Route(f"{name}.list", ROSTER | {"fields": f"{role}(userId),nextPageToken"}),
            "find": Route(f"{name}.get", IN_COURSE | {"fields": "userId"}),
            "create": Route(
                f"{name}.create", COURSE | {"fields": "userId"}, body={"userId": "{person_id}"}
            ),
            "remove": Route(f"{name}.delete", IN_COURSE),
        },
    )


ENTITIES = (
    Entity(
        "schemas",
        permission="admin.directory.userschema",
        probes={"admin.directory.userschema": Route("schemas.list", IN_CUSTOMER)},
        remote_id="schemaId",
        items="schemas",
        never_deleted="a schema holds the durable key of every account",
        routes={
            "list": Route("schemas.list", IN_CUSTOMER),
            "find": Route("schemas.get", IN_CUSTOMER | {"schemaKey": "{key}"}),
            # one text field, findable, seen by administrators and the person only
            "create": Route(
                "schemas.insert",
                IN_CUSTOMER,
                body={
                    "schemaName": "{key}",
                    "displayName": "{key}",
                    "fields": [
                        {
                            "fieldName": "{field_name}",
                            "displayName": "{field_name}",
                            "fieldType": "STRING",
                            "multiValued": False,
                            "indexed": True,
                            "readAccessType": "ADMINS_AND_SELF",
                        }
                    ],
                },
            ),
        },
    ),
    Entity(
        "schema_fields",  # of our schema, beside the key
        permission="admin.directory.userschema",
        remote_id="schemaId",
        opt_in="details",
        upserts=True,
        never_deleted="a field of a schema holds what people entered",
        routes={
            "find": Route("schemas.get", IN_CUSTOMER | {"schemaKey": "{key}"}),
            "create": Route("schemas.update", IN_CUSTOMER | {"schemaKey": "{key}"}),
        },
    ),
    Entity(
        "org_units",
        permission="admin.directory.orgunit",
        probes={
            "admin.directory.orgunit": Route("org_units.list", IN_CUSTOMER | {"type": "children"})
        },
        remote_id="orgUnitId",
        items="organizationUnits",
        read_only=("orgUnitPath",),  # made of the two others
        inside="parent_org_unit_path",
        parents_first=True,
        routes={
            "list": Route("org_units.list", IN_CUSTOMER | {"type": "all"}),
            "find": Route("org_units.get", IN_CUSTOMER | UNIT),
            "create": Route("org_units.insert", IN_CUSTOMER, columns=True),
            "update": Route("org_units.patch", IN_CUSTOMER | UNIT, columns=True),
            "remove": Route("org_units.delete", IN_CUSTOMER | UNIT),
        },
    ),
    Entity(
        "users",
        permission="admin.directory.user",
        probes={
            "admin.directory.user": Route("users.list", ONE | {"fields": "users(id)"}),
            SECURITY: Route("tokens.list", {"userKey": "{subject}", "fields": "kind"}),
        },
        items="users",
        page=USERS_PER_PAGE,
        # who closed an account; by the others one without our key is matched to a person, or left
        # alone
        observed=(
            field("suspension_reason", "suspensionReason"),
            field("suspension_time", "suspensionTime"),
            field("archival_time", "archivalTime"),
            field("employee_id", "externalIds[type=organization].value"),
            field("is_admin", "isAdmin"),
            field("is_delegated_admin", "isDelegatedAdmin"),
        ),
        asked=("aliases", "nonEditableAliases", "creationTime"),
        named_by="primary_email",
        inside="org_unit_path",
        unique_names="user",
        keeps_deleted_days=KEEPS_DELETED_DAYS,
        routes={
            "check": Route("users.list", ONE | {"fields": "users(id)"}),
            "list": Route(
                "users.list", OF_CUSTOMER | WITH_KEY | {"fields": "users({mask}),nextPageToken"}
            ),
            "deleted": Route(
                "users.list",
                OF_CUSTOMER
                | WITH_KEY
                | {
                    "fields": "users(id,primaryEmail,aliases,customSchemas),nextPageToken",
                    "showDeleted": "true",
                },
            ),
            "find": Route(
                "users.get",
                WITH_KEY
                | {"userKey": "{primary_email}", "fields": "id,primaryEmail,customSchemas"},
            ),
            "create": Route(
                "users.insert",
                ID,
                body={"password": "{password}", "changePasswordAtNextLogin": True},
                columns=True,
            ),
            # PUT has patch semantics here, and can clear what PATCH cannot
            "update": Route("users.update", USER | ID, columns=True),
            "remove": Route("users.delete", USER),
            "undelete": Route("users.undelete", USER, columns=("org_unit_path",)),
            "end_sessions": Route("users.signOut", USER, permission=SECURITY),
        },
    ),
    Entity(
        "user_details",  # what stands on an account beside names and place; read with the users
        permission="admin.directory.user",
        observed=(field("person_id", "person_id"),),
        links=("person_id",),
        upserts=True,
        opt_in="details",
        never_deleted="what stands on an account goes with it",
        routes={
            "of": Route("users.get", {"userKey": "{person_id}", "fields": ",".join(LISTS)}),
            "create": Route("users.update", {"userKey": "{person_id}"} | ID, columns=True),
            "update": Route("users.update", {"userKey": "{person_id}"} | ID, columns=True),
        },
    ),
    Entity(
        "aliases",
        permission="admin.directory.user",
        observed=(field("person_id", "person_id"),),
        links=("person_id",),
        routes={
            "find": Route("users.get", {"userKey": "{alias}", "fields": "id"}),
            "create": Route("aliases.insert", {"userKey": "{person_id}"}, columns=("alias",)),
            "remove": Route("aliases.delete", {"userKey": "{person_id}", "alias": "{alias}"}),
        },
    ),
    Entity(
        "groups",
        permission="admin.directory.group",
        probes={"admin.directory.group": Route("groups.list", ONE | {"fields": "groups(id)"})},
        items="groups",
        page=GROUPS_PER_PAGE,
        asked=("aliases", "nonEditableAliases"),
        named_by="email",
        unique_names="group",
        routes={
            "list": Route("groups.list", OF_CUSTOMER | {"fields": "groups({mask}),nextPageToken"}),
            "find": Route("groups.get", {"groupKey": "{email}"}),
            "create": Route("groups.insert", ID, columns=True),
            "update": Route("groups.patch", GROUP | ID, columns=True),
            "remove": Route("groups.delete", GROUP),
        },
    ),
    Entity(
        "group_settings",  # who may join, see and post: by the group's address, one by one
        permission="apps.groups.settings",
        probes={"apps.groups.settings": Route("group_settings.get", SETTINGS_OF)},
        observed=(field("group_remote_id", "group_remote_id"),),
        derived=("group_remote_id",),
        links=("group_id",),
        upserts=True,  # a group has them from the first; ours are written over them
        opt_in="group_settings",
        never_deleted="a group always has settings",
        routes={
            "of": Route("group_settings.get", SETTINGS_OF | {"fields": "{mask}"}),
            "create": Route(
                "group_settings.patch", SETTINGS_OF | {"fields": "email"}, columns=True
            ),
            "update": Route(
                "group_settings.patch", SETTINGS_OF | {"fields": "email"}, columns=True
            ),
        },
    ),
    Entity(
        "members",
        permission="admin.directory.group",
        items="members",
        page=MEMBERS_PER_PAGE,
        observed=(
            field("group_remote_id", "group_remote_id"),
            field("member_remote_id", "id"),
            field("type", "type"),
        ),
        links=("group_id", "person_id"),
        listed_per="groups",
        routes={
            "of": Route(
                "members.list",
                {
                    "groupKey": "{owner}",
                    "maxResults": "{page}",
                    "fields": "members(id,role,type),nextPageToken",
                },
            ),
            "find": Route("members.get", MEMBER),
            "create": Route(
                "members.insert",
                {"groupKey": "{group_id}"} | ID,
                body={"id": "{person_id}"},
                columns=True,
            ),
            "update": Route("members.patch", MEMBER | ID, columns=True),
            "remove": Route("members.delete", MEMBER),
        },
    ),
    Entity(
        "licences",  # by product and SKU; the API knows people by their address of the moment
        permission="apps.licensing",
        probes={
            "apps.licensing": Route(
                "licences.listForProduct",
                {"productId": "{product}", "customerId": "{customer_id}", "maxResults": "1"},
            )
        },
        items="items",
        page=LICENCES_PER_PAGE,
        observed=(field("user_email", "userId"),),
        derived=("licence",),
        read_only=("licence",),
        links=("person_id",),
        opt_in="licences",
        routes={
            "list": Route(
                "licences.listForProduct",
                {"productId": "{product}", "customerId": "{customer_id}", "maxResults": "{page}"},
            ),
            "held": Route("licences.get", LICENCE),
            "create": Route(
                "licences.insert",
                {"productId": "{product}", "skuId": "{sku}"},
                body={"userId": "{user}"},
            ),
            # one SKU for another of the product: both at once, or neither
            "exchange": Route(
                "licences.update",
                LICENCE | {"skuId": "{old_sku}"},
                body={"productId": "{product}", "skuId": "{sku}", "userId": "{user}"},
            ),
            "remove": Route("licences.delete", LICENCE),
        },
    ),
    Entity(
        "courses",
        permission="classroom.courses",
        probes={
            "classroom.courses": Route("courses.list", {"pageSize": "1", "fields": "courses(id)"})
        },
        items="courses",
        page=COURSES_PER_PAGE,
        observed=(field("owner_remote_id", "ownerId"),),
        derived=("alias",),  # by the adapter: a list shows none
        read_only=("alias",),
        opt_in="classes",
        never_deleted="a course holds the work of its students",
        routes={
            "list": Route(
                "courses.list", {"pageSize": "{page}", "fields": "courses({mask}),nextPageToken"}
            ),
            "find": Route("courses.get", {"id": "d:{key}"} | ID),
            # active at once: a provisioned one waits for its teacher to accept it
            "create": Route(
                "courses.create", ID, body={"id": "d:{key}", "ownerId": "{owner_id}"}, columns=True
            ),
            "update": Route(
                "courses.patch", {"id": "{id}", "updateMask": "{changed}"} | ID, columns=True
            ),
        },
    ),
    roster("course_teachers"),
    roster("course_students"),
)
