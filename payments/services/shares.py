"""What creators earn by paid lines, and what refunds take back of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kernel.money import BASIS, floor_bp
from payments import ledger, refund_rules
from payments.models import LineShare, Order, OrderLine, ShareRule


def shares_take(*, order: Order, lines: Sequence[OrderLine], ref: str) -> None:
    """Each line's creators have earned their share of what was paid for it; journal `share`.

    Called in the transaction that pays the held order, once; `ref` is its payment's number.
    Rules are read now: a later change of them does not touch what was earned.
    """
    rules = _rules({scope_of(line) for line in lines if line.payable_fen})
    shares = [
        share
        for line in lines
        if line.payable_fen
        for share in _shares(line, rules[scope_of(line)])
    ]
    if not shares:
        return
    LineShare.objects.bulk_create(shares)
    by_payee: dict[str, int] = defaultdict(int)
    for share in shares:
        by_payee[share.payee] += share.amount_fen
    ledger.post_share(ref=ref, by_payee=by_payee)


def shares_return(*, parts: Mapping[OrderLine, int], ref: str) -> None:
    """The creators' part of what goes back of each line is taken back; journal `share_back`.

    `parts` maps lines, as they stood before this refund, to what goes back now. Cumulative: a
    line that went back in full, in however many parts, leaves nothing. The order is held.
    """
    by_payee: dict[str, int] = defaultdict(int)
    lines = {line.pk: line for line in parts}
    for share in LineShare.objects.filter(line__in=lines).order_by("pk"):
        line = lines[share.line_id]
        back = refund_rules.share_of(
            share.amount_fen,
            before_fen=line.refunded_fen,
            now_fen=parts[line],
            of_fen=line.payable_fen,
        )
        if back:
            share.returned_fen += back
            share.save(update_fields=["returned_fen"])
            by_payee[share.payee] += back
    if by_payee:
        ledger.post_share_back(ref=ref, by_payee=by_payee)


def scope_of(line: OrderLine) -> str:
    """Whose content a line sells; a gift sells what its codes open."""
    return line.scope or line.gives


def _rules(scopes: set[str]) -> Mapping[str, Sequence[ShareRule]]:
    found: dict[str, list[ShareRule]] = defaultdict(list)
    rows = ShareRule.objects.filter(scope__in=scopes - {""}, active=True)
    for rule in rows.order_by("created_at", "pk"):
        found[rule.scope].append(rule)
    return found


def _shares(line: OrderLine, rules: Sequence[ShareRule]) -> list[LineShare]:
    """The older rule first; all of them together never get more than was paid."""
    left_bp, shares = BASIS, []
    for rule in rules:
        bp = min(rule.share_bp, left_bp)
        left_bp -= bp
        fen = floor_bp(line.payable_fen, bp)
        if fen:
            shares.append(LineShare(line=line, payee=rule.payee, amount_fen=fen))
    return shares
