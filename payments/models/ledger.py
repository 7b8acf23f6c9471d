"""Double entry. Debit is positive, credit negative. Rows are never changed (triggers)."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class LedgerAccount(models.Model):
    """An account that stores its balance, such as what is owed to one creator.

    Hot accounts (cash, revenue) have no row here, so nobody waits on them: their balance is the
    sum of their entries.
    """

    code = models.CharField(_("科目"), max_length=60, primary_key=True)
    balance_fen = models.BigIntegerField(_("余额(分)"), default=0)
    may_be_negative = models.BooleanField(_("可为负"), default=True)

    class Meta:
        verbose_name = _("余额科目")
        verbose_name_plural = _("余额科目")
        constraints = [
            models.CheckConstraint(
                condition=Q(may_be_negative=True) | Q(balance_fen__gte=0),
                name="account_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Journal(models.Model):
    """One business fact in fen: its entries sum to zero. One journal per (kind, ref)."""

    kind = models.CharField(_("类型"), max_length=20)
    ref = models.CharField(_("业务单号"), max_length=64)
    memo = models.CharField(_("摘要"), max_length=200, blank=True, default="")
    posted_at = models.DateTimeField(_("记账时间"), default=clock.now)

    class Meta:
        verbose_name = _("凭证")
        verbose_name_plural = _("凭证")
        indexes = [models.Index(fields=["posted_at"], name="journal_posted")]
        constraints = [models.UniqueConstraint(fields=["kind", "ref"], name="journal_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class Entry(models.Model):
    """One side of a journal. `account` is a code of the chart in `payments.ledger`."""

    journal = models.ForeignKey(
        Journal, on_delete=models.PROTECT, related_name="entries", verbose_name=_("凭证")
    )
    account = models.CharField(_("科目"), max_length=60)
    amount_fen = models.BigIntegerField(_("金额(分)"))

    class Meta:
        verbose_name = _("分录")
        verbose_name_plural = _("分录")
        indexes = [models.Index(fields=["account"], name="entry_account")]
        constraints = [
            models.CheckConstraint(condition=~Q(amount_fen=0), name="entry_of_something"),
            models.CheckConstraint(
                condition=Q(account__regex=r"^[a-z_]+(:[a-z0-9_]+)?$"), name="entry_account_code"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount_fen}"
