"""What each role of operators may do, as Django groups.

The rows of `ROLES` name apps and models by label, so accounts imports nothing above itself; a
model that does not exist is left out.
"""

from dataclasses import dataclass, field

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

VIEW = ("view",)
EDIT = ("view", "add", "change", "delete")
KEEP = ("view", "add", "change")


@dataclass(frozen=True)
class Role:
    """A group: `grants` maps an app or an "app.model" to actions; a model's row beats its app's."""

    name: str
    grants: dict[str, tuple[str, ...]] = field(default_factory=dict)


ROLES = (
    Role(
        "owner",
        {
            "kernel": VIEW,
            "accounts": KEEP,
            "auth.group": VIEW,
            "payments": KEEP,
            "content": EDIT,
            "feedback": KEEP,
            "experiments": KEEP,
            "incentives": KEEP,
            "recommender": KEEP,
            "messaging": KEEP,
            "dashboard": VIEW,
            "simulation": VIEW,
        },
    ),
    Role(
        "finance",
        {"payments": KEEP, "incentives": VIEW, "accounts.user": VIEW, "dashboard": VIEW},
    ),
    Role(
        "editor",
        {"content": EDIT, "feedback": VIEW, "payments.product": VIEW, "payments.plan": VIEW},
    ),
    Role(
        "service",
        {
            "accounts.user": VIEW,
            "accounts.identity": VIEW,
            "payments": VIEW,
            # asks for refunds; who may change them decides about them
            "payments.refund": ("view", "add"),
            "content": VIEW,
            "feedback": VIEW,
            "incentives": VIEW,
            "messaging": VIEW,
        },
    ),
    Role(
        "analyst",
        {
            "content": VIEW,
            "feedback": VIEW,
            "experiments": KEEP,
            "incentives": VIEW,
            "recommender": VIEW,
            "dashboard": VIEW,
            "simulation": VIEW,
        },
    ),
)
NAMES = tuple(role.name for role in ROLES)


@transaction.atomic
def sync() -> None:
    """Each role's group exists and holds exactly the permissions of `ROLES`. Safe to repeat.

    Called after `migrate`, when the permissions of all apps exist.
    """
    permissions = list(Permission.objects.select_related("content_type").filter(_known_apps()))
    for role in ROLES:
        group, _made = Group.objects.get_or_create(name=role.name)
        group.permissions.set([p for p in permissions if _granted(role, p)])


def _known_apps() -> Q:
    labels = {name.partition(".")[0] for role in ROLES for name in role.grants}
    return Q(content_type__app_label__in=labels)


def _granted(role: Role, permission: Permission) -> bool:
    label, model = permission.content_type.app_label, permission.content_type.model
    actions = role.grants.get(f"{label}.{model}", role.grants.get(label, ()))
    return any(permission.codename == f"{action}_{model}" for action in actions)
