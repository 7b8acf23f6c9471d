"""Commands that speak Chinese, or the language they are told to."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import override

from recommender.core.errors import said_of, sentence
from recommender.core_words import in_words

MOST_SEED = 2**32 - 1


class SpeakingCommand(BaseCommand):
    """Everything that `handle` says is in the language of `--language`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--language",
            choices=[code for code, _name in settings.LANGUAGES],
            help=_("输出的语言，默认为 %(language)s") % {"language": settings.LANGUAGE_CODE},
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if not options.get("language"):
            return super().execute(*args, **options)
        with override(options["language"]):
            return super().execute(*args, **options)


def refused(why: Exception) -> CommandError:
    """The same in the reader's language, for the end of a command."""
    return CommandError(in_words(said_of(why)))


def checked_seed(seed: int) -> int:
    """A seed that every generator accepts."""
    if not 0 <= seed <= MOST_SEED:
        raise CommandError(in_words(sentence("--seed must lie between 0 and 4294967295")))
    return seed
