"""Blocks about courses from files beside the database, chosen by `KPAY_CONTENT_BLOCKS`.

Each entry of the setting is the dotted path of a class: made without arguments, it has a name
and `encode`. None of these is on by default.
"""

from __future__ import annotations

import logging
import math
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from django.conf import settings
from django.utils.module_loading import import_string
from numpy.typing import NDArray

from content.models import Course, Lesson
from recommender.core.blocks import read_vectors, with_block
from recommender.core.data import Float32, Interactions
from recommender.core.errors import BadParams

logger = logging.getLogger(__name__)

SIDE = 64  # pixels of a cover as it is looked at
LEVELS = 4  # of each colour
DIRECTIONS = 8
SECONDS = 60  # of a course's first sound
FRAME, HOP, BANDS, LOWEST, HIGHEST = 2048, 1024, 32, 60.0, 8000.0


class Block(Protocol):
    """One block about courses."""

    name: str

    def encode(self, courses: Sequence[int]) -> Float32 | None:
        """[courses, width], rows of NaN where nothing is known; None where nothing is at all."""


def with_blocks(interactions: Interactions) -> Interactions:
    """The snapshot with the blocks of the setting; BadParams for a path that leads nowhere."""
    table = interactions.table
    if table is None or not settings.KPAY.content_blocks:
        return interactions
    courses = [int(item) for item in interactions.items.ids(range(len(interactions.items)))]
    for path in settings.KPAY.content_blocks:
        block = _block(path)
        vectors = block.encode(courses)
        if vectors is None:
            logger.warning("content block says nothing", extra={"block": path})
            continue
        table = with_block(table, block.name, vectors)
    return replace(interactions, table=table)


def _block(path: str) -> Block:
    try:
        block: Block = import_string(path)()
    except (ImportError, TypeError) as why:
        raise BadParams(f"KPAY_CONTENT_BLOCKS: {path}: {why}") from why
    if not callable(getattr(block, "encode", None)) or not getattr(block, "name", ""):
        raise BadParams(f"KPAY_CONTENT_BLOCKS: {path} has no name or no encode")
    return block


class Vectors:
    """The file `KPAY_ITEM_VECTORS`: any encoder's vectors by course number."""

    name: ClassVar[str] = "vectors"

    def encode(self, courses: Sequence[int]) -> Float32 | None:
        if not settings.KPAY.item_vectors:
            raise BadParams("KPAY_ITEM_VECTORS is not set")
        return read_vectors(Path(settings.KPAY.item_vectors), [str(pk) for pk in courses])


class Covers:
    """Colours and directions of edges of covers that lie as files under KPAY_MEDIA_ROOT.

    Drawn covers follow category and title, which other blocks know: they are left out.
    """

    name: ClassVar[str] = "cover"

    def encode(self, courses: Sequence[int]) -> Float32 | None:
        own = Course.objects.filter(pk__in=courses).exclude(cover_url="")
        covers = dict(own.values_list("pk", "cover_url"))
        files = {pk: _media_file(url) for pk, url in covers.items()}
        return _stacked(courses, {pk: cover_numbers(f) for pk, f in files.items() if f})


class Sounds:
    """The first minute of each course's first sound under KPAY_MEDIA_ROOT, as log-mel figures.

    WAV by the standard library alone; other formats where the package `soundfile` is installed.
    """

    name: ClassVar[str] = "sound"

    def encode(self, courses: Sequence[int]) -> Float32 | None:
        lessons = Lesson.objects.filter(course_id__in=courses, kind=Lesson.Kind.AUDIO)
        keys = lessons.exclude(media_key="").order_by("course_id", "position", "pk")
        first: dict[int, str] = {}
        for course, key in keys.values_list("course_id", "media_key"):
            first.setdefault(course, key)
        files = {pk: _media_file(key) for pk, key in first.items()}
        return _stacked(courses, {pk: sound_numbers(f) for pk, f in files.items() if f})


def _stacked(courses: Sequence[int], found: dict[int, Float32 | None]) -> Float32 | None:
    """[courses, width]; None where no file could be read."""
    known = {pk: numbers for pk, numbers in found.items() if numbers is not None}
    if not known:
        return None
    blank = np.full_like(next(iter(known.values())), np.nan)
    return np.stack([known.get(pk, blank) for pk in courses])


def _media_file(address: str) -> Path | None:
    """The file below MEDIA_ROOT that an address on our own host means, if there is one."""
    own = address.removeprefix(settings.KPAY.public_base_url)
    root = Path(settings.MEDIA_ROOT).resolve()
    if "://" in own or "\0" in own:
        return None
    path = (root / own.lstrip("/")).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None


def cover_numbers(path: Path) -> Float32 | None:
    """[72]: shares of 64 colours, then of 8 directions of edges; None for what is no picture."""
    try:
        from PIL import Image  # noqa: PLC0415  (only shops with this block load it)
    except ImportError as missing:
        raise BadParams("the cover block needs the package pillow") from missing
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG is decoded small at once
            pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as why:
        logger.warning("cover cannot be read", extra={"file": path.name, "why": str(why)})
        return None
    levels = np.minimum(pixels * LEVELS / 256, LEVELS - 1).astype(np.int64)
    colours = levels @ np.array([LEVELS * LEVELS, LEVELS, 1])
    down, right = np.gradient(pixels.mean(axis=2))
    turned = np.arctan2(down, right) % math.pi  # a line has no front
    places = np.minimum(turned * DIRECTIONS / math.pi, DIRECTIONS - 1).astype(np.int64)
    strength = np.hypot(down, right)
    shares = np.bincount(colours.ravel(), minlength=LEVELS**3) / SIDE**2
    edges = np.bincount(places.ravel(), strength.ravel(), DIRECTIONS) / max(strength.sum(), 1e-6)
    # square roots: a distance between shares that no single large one decides (Hellinger)
    found: Float32 = np.sqrt(np.concatenate([shares, edges])).astype(np.float32)
    return found


def sound_numbers(path: Path) -> Float32 | None:
    """[64]: mean and deviation over time of the log energy of 32 mel bands; None if unreadable."""
    heard = _samples(path)
    if heard is None:
        return None
    sound, rate = heard
    if len(sound) < FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    hertz = np.fft.rfftfreq(FRAME, 1 / rate)
    mel = 2595 * np.log10(1 + hertz / 700)
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST, HIGHEST))
    edges = np.linspace(low, high, BANDS + 2)
    rising = (mel - edges[:-2, None]) / (edges[1] - edges[0])
    falling = (edges[2:, None] - mel) / (edges[1] - edges[0])
    bands = np.maximum(np.minimum(rising, falling), 0)  # [BANDS, frequencies], triangles
    energy = np.log(power @ bands.T + 1e-8)
    return np.concatenate([energy.mean(axis=0), energy.std(axis=0)]).astype(np.float32)


def _samples(path: Path) -> tuple[NDArray[np.float64], int] | None:
    """Up to SECONDS of one channel in -1..1 and the rate."""
    try:
        import soundfile  # noqa: PLC0415  (optional: not one of our requirements)
    except ImportError:
        return _wav(path)
    try:
        with soundfile.SoundFile(path) as file:
            taken = file.read(SECONDS * file.samplerate, dtype="float64", always_2d=True)
            return taken.mean(axis=1), int(file.samplerate)
    except (RuntimeError, OSError) as why:
        logger.warning("sound cannot be read", extra={"file": path.name, "why": str(why)})
        return None


def _wav(path: Path) -> tuple[NDArray[np.float64], int] | None:
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels = file.getframerate(), file.getnchannels()
            if file.getsampwidth() != 2:  # 16 bits are what recorders write
                return None
            raw = file.readframes(SECONDS * rate)
    except (wave.Error, EOFError, OSError) as why:
        logger.warning("sound cannot be read", extra={"file": path.name, "why": str(why)})
        return None
    whole = len(raw) - len(raw) % (2 * channels)  # a file may be cut off
    taken = np.frombuffer(raw[:whole], "<i2").astype(np.float64) / 32768
    return taken.reshape(-1, channels).mean(axis=1), rate
