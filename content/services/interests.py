"""What a learner says to be interested in: categories of this shop."""

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import profile_set
from content.models import Category
from kernel.errors import InvalidInput


def interests_set(*, user: User, names: Sequence[str]) -> list[str]:
    """The user's interests are exactly these categories (given by key or id); returns keys.

    Raises `InvalidInput` for a category that does not exist.
    """
    rows = Category.objects.values_list("pk", "key")
    known = {str(pk): key for pk, key in rows} | {key: key for _pk, key in rows}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(fields={"interests": [_("没有这个分类。")]})
    keys = list(dict.fromkeys(known[name] for name in names))
    profile_set(user=user, interests=keys)
    return keys
