"""Bringing a shop into the state that a JSON document describes (contract section 8)."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils.translation import gettext_lazy as _

from accounts import roles
from accounts.models import User
from content.models import Course
from content.services import category_save, course_bundle_set, course_save, creator_save
from incentives.services import coupon_template_save, earning_rule_save, redeem_code_save
from kernel.errors import InvalidInput
from payments.services import plan_publish

SECTIONS = (
    "categories",
    "creators",
    "courses",
    "plans",
    "coupon_templates",
    "earning_rules",
    "redeem_codes",
    "operators",
)
# Fields that a document may hold for readers, and that no table keeps.
_REMARKS = {"media", "xpay_env"}


@transaction.atomic
def provision(document: Mapping[str, Any]) -> dict[str, str]:
    """Everything the document names exists as it says; returns {key: id}. All or nothing.

    Idempotent by `key`. Raises `InvalidInput` naming section and row.
    """
    unknown = set(document) - set(SECTIONS)
    if unknown:
        raise InvalidInput(fields={name: [_("未知的部分。")] for name in sorted(unknown)})
    made: dict[str, str] = {}
    for section in SECTIONS:
        rows = document.get(section, [])
        if not isinstance(rows, list):
            raise InvalidInput(fields={section: [_("须为列表。")]})
        for number, row in enumerate(rows):
            made.update(_row(section, number, row, _SAVE[section]))
    # At last: a bundle may hold courses that stand behind it, and plans.
    for number, row in enumerate(document.get("courses", [])):
        _row("courses", number, row, _bundle)
    return made


def _row(
    section: str, number: int, row: Any, save: Callable[..., dict[str, str]]
) -> dict[str, str]:
    where = f"{section}[{number}]"
    if not isinstance(row, dict) or not isinstance(row.get("key"), str) or not row["key"]:
        raise InvalidInput(fields={where: [_("每一行都需要 key。")]})
    try:
        return save({k: v for k, v in row.items() if k not in _REMARKS})
    except InvalidInput as refused:
        raise InvalidInput(
            fields={f"{where}.{name}": said for name, said in refused.detail.items()}
        ) from refused
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InvalidInput(
            fields={where: [_("字段缺失、多余或类型不对（%(why)s）。") % {"why": error}]}
        ) from error
    except DatabaseError as error:  # the transaction ends here, with nothing kept
        raise InvalidInput(
            fields={where: [_("有数据库存不下的值：过大的数、过长的文字或 NUL。")]}
        ) from error


def _category(row: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: str(category_save(**row).pk)}


def _creator(row: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: str(creator_save(**row).pk)}


def _course(row: dict[str, Any]) -> dict[str, str]:
    row.pop("bundle", None)
    lessons = [
        {name: value for name, value in lesson.items() if name not in _REMARKS}
        for lesson in row.pop("lessons", [])
    ]
    saved = course_save(**row, lessons=lessons)
    made = {row["key"]: str(saved.course.pk)}
    made.update((key, str(lesson.pk)) for key, lesson in saved.lessons.items())
    made.update((key, str(product.pk)) for key, product in saved.products.items())
    return made


def _bundle(row: dict[str, Any]) -> dict[str, str]:
    """What a course of kind bundle holds; a row without `bundle` leaves it as it is."""
    members = row.get("bundle")
    if members is None:
        return {}
    if not isinstance(members, list) or not all(isinstance(name, str) for name in members):
        raise InvalidInput(fields={"bundle": [_("须为课程、商品或会员方案的 key 的列表。")]})
    course_bundle_set(key=row["key"], members=members)
    return {}


def _plan(row: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: str(plan_publish(**row).pk)}


def _coupon_template(row: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: str(coupon_template_save(**row).pk)}


def _earning_rule(row: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: str(earning_rule_save(**row).pk)}


def _redeem_code(row: dict[str, Any]) -> dict[str, str]:
    course = row.pop("course", None)
    if course is not None:
        row["scope"] = f"course:{_course_id(course)}"
    return {row["key"]: str(redeem_code_save(**row).pk)}


def _course_id(key: str) -> int:
    course = Course.objects.filter(external_key=key).only("pk").first()
    if course is None:
        raise InvalidInput(fields={"course": [_("没有这门课程。")]})
    return course.pk


def _operator(row: dict[str, Any]) -> dict[str, str]:
    """A staff user in one role. A row without password keeps the one there is."""
    role = row.get("role", "owner")
    if role not in roles.NAMES:
        raise InvalidInput(fields={"role": [_("未知的角色。")]})
    user, _made = User.objects.get_or_create(
        username=row["username"], defaults={"nickname": row["username"][:32]}
    )
    user.is_staff = True
    password = row.get("password")
    if password:
        try:
            validate_password(password, user)
        except ValidationError as refused:
            raise InvalidInput(fields={"password": refused.messages}) from refused
        user.set_password(password)
    elif not user.password:
        user.set_unusable_password()
    user.save()
    user.groups.set(Group.objects.filter(name=role))
    return {row["key"]: str(user.pk)}


_SAVE = {
    "categories": _category,
    "creators": _creator,
    "courses": _course,
    "plans": _plan,
    "coupon_templates": _coupon_template,
    "earning_rules": _earning_rule,
    "redeem_codes": _redeem_code,
    "operators": _operator,
}
