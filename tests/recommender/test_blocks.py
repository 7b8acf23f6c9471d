"""Content blocks by setting: vectors from a file, covers and sounds from stored media."""

import math
import wave
from dataclasses import replace

import numpy as np
import pytest

from content.models import Lesson
from recommender.blocks import cover_numbers, sound_numbers, with_blocks
from recommender.core.blocks import WIDTH, read_vectors, with_block
from recommender.core.data import Interactions, ItemTable
from recommender.core.errors import BadParams, DatasetError
from recommender.core.reading import read_dataset
from recommender.core.storing import load_columns, store_columns
from recommender.core.training.content import item_blocks
from recommender.dataset import snapshot


def stored(path, ids, vectors):
    np.savez(path, ids=np.array(ids), vectors=np.asarray(vectors, np.float32))
    return path


def test_vectors_go_by_id_whatever_their_order(tmp_path):
    path = stored(tmp_path / "v.npz", ["b", "课", "a"], [[1, 2], [3, 4], [5, 6]])

    found = read_vectors(path, ["a", "b", "nobody"])

    assert found[:2].tolist() == [[5, 6], [1, 2]]
    assert np.isnan(found[2]).all()


@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        (["a", "a"], [[1], [2]], "repeat"),
        (["a"], [[1], [2]], "ids, width"),
        (["a"], [[math.nan]], "finite"),
        (["a"], [1.0], "ids, width"),
    ],
)
def test_a_wrong_file_of_vectors_is_refused_by_name(tmp_path, ids, vectors, said):
    path = stored(tmp_path / "v.npz", ids, vectors)

    with pytest.raises(DatasetError, match=said):
        read_vectors(path, ["a"])
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"v\.npz"):
        read_vectors(path, ["a"])
    with pytest.raises(DatasetError):
        read_vectors(tmp_path / "nowhere.npz", ["a"])


def test_a_wide_block_is_turned_onto_its_main_axes():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(60, 5)) @ rng.normal(size=(5, 400)) + 7).astype(np.float32)
    vectors[3] = np.nan
    table = with_block(ItemTable(titles=[""] * 60), "vectors", vectors)

    block, known = table.blocks["vectors"], np.arange(60) != 3
    assert block.shape == (60, WIDTH)
    assert not block[3].any()
    centred = vectors[known] - vectors[known].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    # five axes hold everything: all cosines stand
    assert block[known] @ block[known].T == pytest.approx(centred @ centred.T, abs=1e-3)


def test_a_folder_brings_its_vectors(tmp_path):
    (tmp_path / "interactions.csv").write_text(
        "user_id,item_id,event,value,timestamp\nu,a,view,,1\nu,b,view,,2\nv,a,view,,3\n"
    )
    stored(tmp_path / "vectors.npz", ["a", "b"], [[1, 0], [0, 1]])

    x = read_dataset(tmp_path).interactions

    assert set(item_blocks(x.table)) == {"vectors"}
    plain = x.data_hash()
    stored(tmp_path / "vectors.npz", ["a", "b"], [[1, 0], [1, 1]])
    assert read_dataset(tmp_path).interactions.data_hash() != plain
    store_columns(x, tmp_path / "x.npz")
    assert load_columns(tmp_path / "x.npz", Interactions).data_hash() == plain


def painted(path, colour, bars=None):
    from PIL import Image

    pixels = np.zeros((90, 160, 3), np.uint8) + np.array(colour, np.uint8)
    if bars == "upright":
        pixels[:, ::16] = 255
    if bars == "level":
        pixels[::16] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_a_cover_is_its_colours_and_the_directions_of_its_edges(tmp_path):
    red, dark, blue = (
        cover_numbers(painted(tmp_path / name, colour))
        for name, colour in (
            ("1.png", (250, 9, 9)),
            ("2.jpg", (240, 20, 5)),
            ("3.png", (0, 0, 250)),
        )
    )
    upright, level = (
        cover_numbers(painted(tmp_path / f"{bars}.png", (9, 9, 9), bars))[64:]
        for bars in ("upright", "level")
    )

    assert red.shape == (72,)
    assert red[:64] @ dark[:64] > 0.9
    assert red[:64] @ blue[:64] == 0
    assert upright.argmax() != level.argmax()
    (tmp_path / "4.png").write_bytes(b"no picture")
    assert cover_numbers(tmp_path / "4.png") is None


def tone(path, hertz, rate=16_000):
    at = np.arange(rate * 2) / rate
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.sin(2 * math.pi * hertz * at) * 9000).astype("<i2").tobytes())
    return path


def test_a_sound_is_its_bands_whatever_the_rate(tmp_path):
    low, high, same = (
        sound_numbers(tone(tmp_path / f"{n}.wav", hertz, rate))[:32]
        for n, (hertz, rate) in enumerate(((200, 16_000), (4000, 16_000), (200, 44_100)))
    )

    assert low.argmax() < high.argmax()
    assert abs(int(low.argmax()) - int(same.argmax())) <= 1
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    assert sound_numbers(tmp_path / "x.wav") is None


@pytest.mark.django_db
def test_the_setting_puts_blocks_of_stored_files_beside_the_courses(
    shop, learner, settings, tmp_path
):
    shop.act(learner(), 0, "view")
    (tmp_path / "covers").mkdir()
    for n, colour in ((0, (250, 0, 0)), (1, (0, 250, 0))):
        painted(tmp_path / "covers" / f"{n}.png", colour)
        type(shop[n]).objects.filter(pk=shop[n].pk).update(cover_url=f"covers/{n}.png")
    type(shop[2]).objects.filter(pk=shop[2].pk).update(cover_url="https://cdn.example/2.png")
    type(shop[3]).objects.filter(pk=shop[3].pk).update(cover_url="../../etc/passwd")
    for n, hertz in ((4, 300), (5, 3000)):
        tone(tmp_path / f"{n}.wav", hertz)
        Lesson.objects.create(course=shop[n], title="听", kind="audio", media_key=f"{n}.wav")
    stored(tmp_path / "v.npz", [str(shop[6].pk), str(shop[7].pk)], [[1, 0], [0, 1]])
    settings.MEDIA_ROOT = tmp_path
    settings.KPAY = replace(
        settings.KPAY,
        content_blocks=tuple(f"recommender.blocks.{n}" for n in ("Vectors", "Covers", "Sounds")),
        item_vectors=str(tmp_path / "v.npz"),
    )

    blocks = with_blocks(snapshot()[0]).table.blocks

    known = {name: np.flatnonzero(block.any(axis=1)).tolist() for name, block in blocks.items()}
    assert known == {"vectors": [6, 7], "cover": [0, 1], "sound": [4, 5]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["no.such.Block", "recommender.blocks.np", "recommender.blocks.Vectors"]
)
def test_a_setting_that_leads_nowhere_ends_by_name(shop, learner, settings, path):
    shop.act(learner(), 0, "view")
    settings.KPAY = replace(settings.KPAY, content_blocks=(path,), item_vectors="")

    with pytest.raises(BadParams, match="KPAY_"):
        with_blocks(snapshot()[0])
