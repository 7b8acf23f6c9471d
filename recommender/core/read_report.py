"""What a reading found, left out and took for something else, in sentences for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from recommender.core.errors import DatasetError, Sentence, sentence
from recommender.core.scales import STARS, Scale

REPORTED_ROWS = 100
MOST_UNTIMED = 0.5  # of the events of a set with times
LONGEST_ID = 100  # characters that the tables hold; models take any


@dataclass(frozen=True)
class BadRow:
    file: str
    line: int
    reason: str

    def sentence(self) -> Sentence:
        return sentence(
            "%(file)s:%(line)s: %(reason)s", file=self.file, line=self.line, reason=self.reason
        )


@dataclass
class ReadReport:
    """What was read and what was left out; at most REPORTED_ROWS bad rows are kept in full."""

    rows: int = 0  # of all files
    bad: int = 0
    events: int = 0  # that can be used
    duplicates: int = 0
    impressions: int = 0
    without_time: int = 0
    without_event: int = 0
    without_stars: int = 0
    long_ids: int = 0
    scale: Scale = STARS
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, BadRow] = field(default_factory=dict)  # of each reason
    bad_rows: list[BadRow] = field(default_factory=list)
    strict: bool = False

    def refuse(self, file: str, line: int, reason: str) -> None:
        """Count one bad row; DatasetError at once when `strict`."""
        if self.strict:
            why = sentence(
                "%(file)s, line %(line)s: %(reason)s", file=file, line=line, reason=reason
            )
            raise DatasetError(why)
        self.bad += 1
        self.reasons[reason] += 1
        row = BadRow(file, line, reason)
        self.first.setdefault(reason, row)
        place = len(self.bad_rows)  # what is found late takes its place among the lines
        while place and self.bad_rows[place - 1].file == file:
            if self.bad_rows[place - 1].line <= line:
                break
            place -= 1
        if place < REPORTED_ROWS:
            self.bad_rows.insert(place, row)
            del self.bad_rows[REPORTED_ROWS:]

    def sentences(self, most: int = REPORTED_ROWS) -> list[Sentence]:
        """For people: the first bad rows, the counts, and what was taken for something else."""
        told = [row.sentence() for row in self.bad_rows[:most]]
        if self.bad:
            told.append(
                sentence("%(bad)s of %(rows)s rows were skipped", bad=self.bad, rows=self.rows)
            )
            told.append(sentence("skipped by cause: %(causes)s", causes=self.causes()))
        return [*told, *self.notes()]

    def add(self, other: ReadReport) -> None:
        """Count the rows of another file too."""
        self.rows += other.rows
        self.bad += other.bad
        self.reasons += other.reasons
        self.first = {**other.first, **self.first}
        self.bad_rows += other.bad_rows[: REPORTED_ROWS - len(self.bad_rows)]

    def causes(self) -> list[Sentence]:
        """Each reason with how often it came, and where first."""
        return [
            sentence(
                "%(reason)s: %(n)s (first %(file)s, line %(line)s)",
                reason=reason, n=n, file=self.first[reason].file, line=self.first[reason].line,
            )
            for reason, n in self.reasons.most_common()
        ]  # fmt: skip

    def notes(self) -> list[Sentence]:
        """What was used, but not as it stands there."""
        told = []
        if self.duplicates:
            told.append(sentence(
                "%(n)s events repeat a pair of user and item: the first of each counts",
                n=self.duplicates,
            ))  # fmt: skip
        if 0 < self.without_time < self.events:
            told.append(sentence(
                "%(n)s of %(all)s events carry no time: they count as the oldest"
                if self.without_time <= MOST_UNTIMED * self.events
                else "%(n)s of %(all)s events carry no time: the set counts as one without times",
                n=self.without_time, all=self.events,
            ))  # fmt: skip
        if self.without_event:
            told.append(sentence("%(n)s rows name no event: each is a view", n=self.without_event))
        if self.without_stars:
            told.append(sentence(
                "%(n)s ratings without a number count as interactions; import_dataset skips them",
                n=self.without_stars,
            ))  # fmt: skip
        if self.long_ids:
            told.append(sentence(
                "%(n)s rows carry an id of more than %(most)s characters; "
                "import_dataset skips them",
                n=self.long_ids, most=LONGEST_ID,
            ))  # fmt: skip
        if self.scale != STARS:
            told.append(sentence(
                "the ratings run from %(least)s to %(most)s and not from 0.5 to 5; "
                "import_dataset skips what lies outside 0.5 to 5",
                least=f"{self.scale.least:g}", most=f"{self.scale.most:g}",
            ))  # fmt: skip
        return told


def nothing_usable(report: ReadReport, rows: int) -> DatasetError:
    """Why interactions.csv with so many rows tells nothing, each cause counted."""
    causes = report.causes()
    if not rows:
        causes.append(sentence("it holds no row"))
    if report.impressions:
        causes.append(sentence("impressions: %(n)s", n=report.impressions))
    what = "interactions.csv holds no interaction that can be used: %(causes)s"
    return DatasetError(sentence(what, causes=causes))
