"""Which columns hold secrets and personal data, and in which form they must be (D02, D03).

Apps register theirs in `<app>/personal.py`, which only the audit imports. A column whose name
sounds like a secret and that nobody registered breaks D03.
"""

# ruff: noqa: S608  (names of tables and columns come from the registry alone)

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext_lazy as _

from kernel.audit import Found, invariant, rows_of


class Form(StrEnum):
    """What stands in the column. Each but the last three has a pattern that the audit looks for."""

    HASH = "SHA-256, 32 bytes"
    DIGEST = "hexadecimal digest"
    SEALED = "encrypted with a key id"  # kernel.crypto
    PASSWORD = "salted password hash"  # noqa: S105  (says how)
    MACHINE = "written by programs: no phone number, no token"
    PERSONAL = "personal data in clear"
    NAMESAKE = "only sounds like one"


# A value in this form matches; NULL and the empty text always may stand.
_GOOD = {
    Form.HASH: "octet_length({column}) = 32",
    Form.DIGEST: "{column} ~ '^([0-9a-f]{{40}}|[0-9a-f]{{64}})$'",
    # 12 bytes of nonce and 16 of tag at least
    Form.SEALED: "{column} ~ '^[A-Za-z0-9_.-]+:[A-Za-z0-9+/]{{38,}}={{0,2}}$'",
    Form.PASSWORD: r"{column} ~ '^(!|[a-z0-9_]+\$)'",
    Form.MACHINE: (
        "{column}::text !~ '(^|[^0-9A-Za-z])([+]?86)?1[3-9][0-9]{{9}}($|[^0-9A-Za-z])"
        '|"(access|refresh|access_token|session_key)": ?"[^"*]{{12}}\''
    ),
}
_SOUNDS = (
    "token|secret|session_?key|phone|mobile|openid|unionid|password|passwd|nickname|avatar"
    "|real_?name|id_?card|e_?mail|private_?key|api_?key|encrypted|_sealed$|_hash$|^hash$"
)


@dataclass(frozen=True)
class Column:
    """One column. `owner` is SQL for the id of the person it is about, over the row `t`."""

    table: str
    column: str
    form: Form
    owner: str = ""


_columns: dict[tuple[str, str], Column] = {}


def register(table: str, form: Form, *columns: str, owner: str = "") -> None:
    """These columns of the table have this form."""
    for column in columns:
        _columns[table, column] = Column(table, column, form, owner)


def registered() -> list[Column]:
    return [_columns[key] for key in sorted(_columns)]


@invariant("D03", _("令牌、会话密钥、密钥与完整手机号从不明文保存"))
def nothing_in_clear(cursor: CursorWrapper) -> Found:
    """Every registered column by its form, and every column that sounds like one of them.

    Rows are named by their place in the table (ctid), never by what they hold.
    """
    known = registered()
    return _by_name(cursor, known) + _by_value(cursor, [one for one in known if one.form in _GOOD])


def _by_name(cursor: CursorWrapper, known: Iterable[Column]) -> Found:
    pairs = ", ".join(f"('{one.table}', '{one.column}')" for one in known)
    there = f"""SELECT c.table_name::text AS name, c.column_name::text AS part
        FROM information_schema.columns c
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND table_type = 'BASE TABLE'
          AND (c.data_type IN ('text', 'character varying', 'character', 'bytea', 'json', 'jsonb')
               AND c.column_name ~ '{_SOUNDS}' OR (c.table_name, c.column_name) IN ({pairs}))"""
    return rows_of(
        cursor,
        f"""WITH known(name, part) AS (VALUES {pairs}), there AS ({there})
            SELECT coalesce(k.name, t.name) AS "table", coalesce(k.part, t.part) AS "column",
                   CASE WHEN k.name IS NULL THEN 'not registered' ELSE 'does not exist' END
                   AS what, NULL AS place
            FROM known k FULL JOIN there t ON t.name = k.name AND t.part = k.part
            WHERE k.name IS NULL OR t.name IS NULL""",
        f"SELECT count(*) FROM ({there}) AS there",
    )


def _by_value(cursor: CursorWrapper, known: Iterable[Column]) -> Found:
    found = Found(checked=0, violations=0)
    for one in known:
        column = f't."{one.column}"'
        empty = "false" if one.form is Form.HASH else f"{column}::text = ''"
        good = _GOOD[one.form].format(column=column)
        found += rows_of(
            cursor,
            f"""SELECT '{one.table}' AS "table", '{one.column}' AS "column",
                       'not: {one.form.value}' AS what, ctid::text AS place
                FROM "{one.table}" t WHERE NOT ({empty} OR {good})""",
            f'SELECT count(*) FROM "{one.table}"',
        )
    return found


def remains(cursor: CursorWrapper, erased_sql: str) -> Found:
    """What registered columns still hold of the people whose ids `erased_sql` selects."""
    found = Found(checked=0, violations=0)
    for one in registered():
        if one.owner and one.form in (Form.PERSONAL, Form.SEALED):
            text = f't."{one.column}"::text'
            found += rows_of(
                cursor,
                f"""SELECT '{one.table}' AS "table", '{one.column}' AS "column",
                           'of an erased person' AS what, ctid::text AS place
                    FROM "{one.table}" t
                    WHERE {one.owner} IN ({erased_sql})
                      AND {text} NOT IN ('', '{{}}', '[]', 'null')""",
                "SELECT 0",
            )
    return found
