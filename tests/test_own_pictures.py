"""Pictures of every kind that people keep: deep ones, turned ones, those that are not square, and damaged files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from regtune.core.errors import Refused
from regtune.data import DataLocation, Pool
from regtune.data._decode import decoded
from regtune.data._levels import levelled
from regtune.data.image_folder import ImageFolder
from regtune.execution.preflight import flaws, preflight, remarks
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.originals import bytes_of, packed, write_pictures
from tests.test_published_data import refusal

RAMP = np.arange(65536).reshape(256, 256)
ORIENTATION = 0x0112


def encoded(image: Image.Image, form: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def levels(raw: bytes, *, side: int, colour: str = "grey", fit: str = "squeeze") -> NDArray[np.uint8]:
    return decoded("one", raw, side=side, colour=colour, fit=fit)[0]


def pgm(values: NDArray[Any]) -> bytes:
    return b"P5 %d %d 65535\n" % values.shape[::-1] + values.astype(">u2").tobytes()


def big_endian(values: NDArray[np.uint16]) -> bytes:
    image = Image.frombytes("I;16B", values.shape[::-1], values.astype(">u2").tobytes())
    return encoded(image, "TIFF")


DEEP: dict[str, Callable[[NDArray[np.uint16]], bytes]] = {
    "PNG": lambda values: encoded(Image.fromarray(values), "PNG"),
    "TIFF": lambda values: encoded(Image.fromarray(values), "TIFF"),
    "TIFF, packed": lambda values: encoded(Image.fromarray(values), "TIFF", compression="tiff_lzw"),
    "TIFF, big endian": big_endian,
    "JPEG 2000": lambda values: encoded(Image.fromarray(values), "JPEG2000"),
    "PGM": pgm,
}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_16_bits_keep_their_256_levels(kind: str, colour: str) -> None:
    read = levels(DEEP[kind](RAMP.astype(np.uint16)), side=256, colour=colour)
    assert len(np.unique(read)) == 256
    exact = RAMP * 255 / 65535
    assert np.abs(read - exact).max() <= 0.5, "the nearest level, everywhere"
    eight = np.arange(256).repeat(256).reshape(256, 256)
    same = levels(DEEP[kind]((eight * 257).astype(np.uint16)), side=256, colour=colour)
    assert (same == eight).all(), "8 bits written with 16 are what they were"


def test_floats_in_0_to_1_are_levels_of_255() -> None:
    values = (RAMP / 65535).astype(np.float32)
    read = levels(encoded(Image.fromarray(values), "TIFF"), side=256, colour="rgb")
    assert np.abs(read - values * 255).max() <= 0.501
    assert len(np.unique(read)) == 256


def test_a_deep_picture_is_resized_as_its_8_bit_copy(tmp_path: Path) -> None:
    eight = bytes_of(0, 40, 30)
    deep, flat = Image.fromarray(eight.astype(np.uint16) * 257), Image.fromarray(eight)
    for fit in ("squeeze", "crop", "pad"):
        a, b = (levels(encoded(image, "PNG"), side=16, fit=fit).astype(int) for image in (deep, flat))
        assert np.abs(a - b).max() <= 1, "pillow rounds 8 bits once for each axis"


def white_as_zero(values: NDArray[Any]) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    raw = bytearray(encoded(Image.fromarray(values), "TIFF", tiffinfo=info))
    tag = raw.index(bytes([0x06, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01]))
    raw[tag + 8] = 0
    return bytes(raw)


def twelve_bits() -> bytes:
    raw = bytearray(encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "TIFF"))
    tag = raw.index(bytes([0x02, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x10]))
    raw[tag + 8] = 12
    return bytes(raw)


def signed_bytes() -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[339] = 2  # SampleFormat
    return encoded(Image.fromarray(np.full((4, 4), 200, np.uint8)), "TIFF", tiffinfo=info)


FLOATS = np.full((4, 4), 0.5, np.float32)
UNSCALED: dict[str, tuple[bytes, str]] = {
    "32 bits": (encoded(Image.fromarray(np.full((4, 4), 9, np.int32)), "TIFF"), "mode I,"),
    "signed 16 bits": (encoded(Image.fromarray(np.full((4, 4), -9, np.int16)), "TIFF"), "mode I,"),
    "floats above 1": (encoded(Image.fromarray(FLOATS * 510), "TIFF"), "mode F with values from 255 to 255"),
    "floats below 0": (encoded(Image.fromarray(FLOATS - 1), "TIFF"), "mode F with values from -0.5 to -0.5"),
    "no numbers": (encoded(Image.fromarray(FLOATS * np.nan), "TIFF"), "mode F with 16 of 16 values that are NaN"),
    "signed 8 bits": (signed_bytes(), "mode L of signed numbers"),
    "white as 0": (white_as_zero(np.full((4, 4), 9, np.uint16)), "mode I;16 with white as 0"),
    "12 bits": (twelve_bits(), "mode I;16 of 12 bits"),
}


@pytest.mark.parametrize("kind", UNSCALED)
def test_what_has_no_scale_is_refused_by_file_and_mode(kind: str, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    raw, words = UNSCALED[kind]
    (folder / "train" / "cat" / "x.tif").write_bytes(raw)
    for path in ("own", packed(folder).name):
        said = refusal(ImageFolder(path=path), tmp_path)
        assert "1 of 25 pictures cannot be scaled to 0..255: train/cat/x.tif (" in said
        assert words in said
        assert "8 or 16 bits, or as floats in [0, 1]" in said


MODES = [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "F",
    "I;16",
    "I;16L",
    "I;16B",
    "I;16N",
]


def test_these_are_all_modes_of_pillow() -> None:
    assert sorted(MODES) == sorted(Image.MODES)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_has_levels_or_is_refused_by_its_name(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    for colour, made in (("rgb", "RGB"), ("grey", "L")):
        if mode == "I":
            with pytest.raises(Refused, match="mode I,"):
                levelled(image, colour=colour)
            continue
        read = levelled(image, colour=colour)
        assert read.mode == ("F" if mode == "F" or mode.startswith("I;") else made)
        assert read.size == (3, 2)


def test_a_mode_that_nobody_knows_is_refused() -> None:
    class Odd:
        mode, format = "BGR;15", "DDS"

    with pytest.raises(Refused, match="mode BGR;15"):
        levelled(Odd(), colour="rgb")  # type: ignore[arg-type]  # stands for a picture of a pillow to come


def shallow() -> dict[str, bytes]:
    noise = Image.fromarray(bytes_of(3, 9, 7, 3))
    alpha = noise.copy()
    alpha.putalpha(Image.fromarray(bytes_of(4, 9, 7)))
    return {
        "1 bit": encoded(noise.convert("1"), "PNG"),
        "palette": encoded(noise.quantize(9), "PNG"),
        "palette with a clear colour": encoded(noise.quantize(9), "PNG", transparency=3),
        "GIF": encoded(noise.quantize(9), "GIF"),
        "grey": encoded(noise.convert("L"), "PNG"),
        "grey and alpha": encoded(alpha.convert("LA"), "PNG"),
        "alpha": encoded(alpha, "PNG"),
        "WebP with alpha": encoded(alpha, "WEBP", lossless=True),
        "CMYK": encoded(noise.convert("CMYK"), "JPEG"),
        "CMYK TIFF": encoded(noise.convert("CMYK"), "TIFF"),
        "YCbCr": encoded(noise.convert("YCbCr"), "TIFF"),
        "BMP": encoded(noise, "BMP"),
    }


@pytest.mark.parametrize("kind", shallow())
def test_8_bits_are_what_they_were_before_deep_ones_were_read(kind: str) -> None:
    """The two lines below are those that read every picture in the logs there are."""
    raw = shallow()[kind]
    for colour, mode in (("rgb", "RGB"), ("grey", "L")):
        for side in (5, 32):
            with Image.open(io.BytesIO(raw)) as image:
                old = np.asarray(image.convert(mode).resize((side, side), Image.Resampling.BILINEAR))
            assert (levels(raw, side=side, colour=colour) == old.reshape(side, side, -1).transpose(2, 0, 1)).all()


# How the stored array is to be moved to be seen, by the words of the standard: where its row 0 and column 0 are.
SEEN: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,  # top, left
    2: np.fliplr,  # top, right
    3: lambda a: np.rot90(a, 2),  # bottom, right
    4: np.flipud,  # bottom, left
    5: lambda a: a.T,  # left, top
    6: lambda a: np.rot90(a, -1),  # right, top
    7: lambda a: np.rot90(a, 2).T,  # right, bottom
    8: np.rot90,  # left, bottom
}


@pytest.mark.parametrize("number", SEEN)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "PNG of 16 bits", "TIFF of floats"])
def test_pictures_are_turned_as_their_exif_says(number: int, form: str) -> None:
    stored = bytes_of(5, 8, 8)
    deep: dict[str, NDArray[Any]] = {
        "PNG of 16 bits": stored.astype(np.uint16) * 257,
        "TIFF of floats": (stored / 255).astype(np.float32),
    }
    image = Image.fromarray(deep.get(form, stored))
    exif = image.getexif()
    exif[ORIENTATION] = number
    raw = encoded(image, form.split(maxsplit=1)[0], exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    assert (levels(raw, side=8)[0] == SEEN[number](stored)).all()


def test_a_photograph_on_its_side_stands_up_before_it_is_cropped() -> None:
    stored = np.zeros((32, 64), np.uint8)
    stored[:, 32:] = 255  # wide; to be seen tall, white below
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[ORIENTATION] = 6
    raw = encoded(image, "JPEG", exif=exif, quality=95)
    read, facts = decoded("a", raw, side=32, colour="grey", fit="crop")
    assert (facts.width, facts.height) == (32, 64)
    assert read[0, :14].max() < 20
    assert read[0, 18:].min() > 235


@pytest.mark.parametrize("number", [0, 9, 77])
def test_an_orientation_that_is_none_moves_nothing(number: int) -> None:
    stored = bytes_of(5, 8, 8)
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[ORIENTATION] = number
    assert (levels(encoded(image, "PNG", exif=exif), side=8)[0] == stored).all()


def test_a_broken_exif_block_is_no_reason_to_refuse_a_picture() -> None:
    stored = bytes_of(5, 8, 8, 3)
    raw = encoded(Image.fromarray(stored), "WEBP", lossless=True, exif=b"Exif\0\0XX\0*\0\0\0\x08")
    assert (levels(raw, side=8, colour="rgb") == stored.transpose(2, 0, 1)).all()


def test_squeeze_crop_and_pad_of_a_wide_picture() -> None:
    wide = np.repeat(np.array([[0, 100, 200, 50]], np.uint8), 2, axis=0)
    raw = encoded(Image.fromarray(wide), "PNG")
    assert levels(raw, side=2, fit="crop")[0].tolist() == [[100, 200]] * 2
    assert levels(raw, side=4, fit="pad")[0].tolist() == [[0] * 4, *wide.tolist(), [0] * 4]
    assert levels(raw, side=4, fit="squeeze")[0].tolist() == wide.repeat(2, 0).tolist()
    tall = encoded(Image.fromarray(wide.T.copy()), "PNG")
    for fit in ("squeeze", "crop", "pad"):
        assert (levels(tall, side=4, fit=fit)[0] == levels(raw, side=4, fit=fit)[0].T).all()


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    side=st.integers(1, 20),
    fit=st.sampled_from(["squeeze", "crop", "pad"]),
    kind=st.sampled_from([np.uint8, np.uint16]),
)
def test_pictures_of_any_size_become_square(width: int, height: int, side: int, fit: str, kind: type) -> None:
    """White stays white where there was a picture, and only "pad" adds black, as much as the shape asks for."""
    white: NDArray[Any] = np.full((height, width), np.iinfo(kind).max, kind)
    read = levels(encoded(Image.fromarray(white), "PNG"), side=side, fit=fit)
    assert read.shape == (1, side, side)
    share = min(width, height) / max(width, height) if fit == "pad" else 1
    lines = (read[0] == 255).all(0).sum() if width < height else (read[0] == 255).all(1).sum()
    assert set(np.unique(read).tolist()) <= {0, 255}
    assert lines == max(1, round(share * side))


def write_one(root: Path, name: str, raw: bytes) -> Pool:
    folder = write_pictures(root / "own")
    (folder / "train" / "cat" / name).write_bytes(raw)
    return ImageFolder(path="own", side=5).pool(DataLocation(root=root))


def test_squeezed_pictures_are_counted_and_the_worst_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "own")
    for name, width in (("a.png", 10), ("b.png", 30)):
        Image.fromarray(bytes_of(0, 20, width, 3)).save(folder / "test" / "dog" / name)
    for fit in ("squeeze", "crop", "pad"):
        for _ in range(2):  # decoded, and from the cache
            pool = ImageFolder(path="own", side=5, fit=fit).pool(DataLocation(root=tmp_path))
            expected = (
                "2 of 26 pictures are not square and are squeezed to 5 x 5 (fit = 'squeeze'), test/dog/a.png from "
                "10 x 20; 'crop' and 'pad' keep their shape"
            )
            assert pool.notes == ((expected,) if fit == "squeeze" else ())
            assert pool.names == ("cat", "dog")


def test_the_first_frame_counts_and_is_said(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((5, 5), value, np.uint8)) for value in (10, 200))
    raw = encoded(first, "GIF", save_all=True, append_images=[second])
    pool = write_one(tmp_path, "0.gif", raw)
    assert set(pool.train.images[0].flatten().tolist()) == {10}
    assert pool.notes == ("1 of 25 files have several frames, as train/cat/0.gif; the first is taken",)


def test_a_clear_background_is_said(tmp_path: Path) -> None:
    clear = np.zeros((5, 5, 4), np.uint8)
    clear[..., 0] = 77
    pool = write_one(tmp_path, "0.webp", encoded(Image.fromarray(clear), "WEBP", lossless=True, exact=True))
    assert set(pool.train.images[1, 0].flatten().tolist()) == {77}
    assert "1 of 25 pictures are transparent in places, as train/cat/0.webp; alpha is dropped" in pool.notes[0]
    palette = Image.fromarray(np.full((5, 5), 3, np.uint8)).convert("P")
    _, facts = decoded("a", encoded(palette, "GIF", transparency=3), side=5, colour="rgb", fit="squeeze")
    assert facts.transparent
    _, facts = decoded("a", encoded(palette, "GIF"), side=5, colour="rgb", fit="squeeze")
    assert not facts.transparent


def test_16_bits_of_which_only_12_are_used_are_said(tmp_path: Path) -> None:
    pool = write_one(tmp_path, "0.png", encoded(Image.fromarray(np.full((5, 5), 4095, np.uint16)), "PNG"))
    assert pool.notes == (
        "16-bit pictures: no value is above 4095, so at most 17 of 256 levels are left; multiply them by 16",
    )
    _, bright = decoded("a", DEEP["PNG"](RAMP.astype(np.uint16)), side=5, colour="rgb", fit="squeeze")
    assert bright.highest == 65535


def test_12_bits_in_16_are_said_in_one_line_by_check_and_by_run(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("dark", "light"):
            (tmp_path / "own" / part / label).mkdir(parents=True)
            for number in range(12):
                seed = 100 * (part == "test") + 50 * (label == "dark") + number
                image = Image.fromarray(bytes_of(seed, 5, 5).astype(np.uint16) * 16)
                image.save(tmp_path / "own" / part / label / f"{number}.png")
    data = '[data]\nname = "image_folder"\npath = "own"\nside = 5\nvalidation = 8\n[network]'
    (tmp_path / "own.toml").write_text(data + SWEEP.partition("[network]")[2])
    sweep = Sweep.read(tmp_path / "own.toml")
    pool = preflight(sweep, DataLocation(root=tmp_path)).pool
    assert remarks(sweep, pool) == flaws(sweep, pool)
    (said,) = flaws(sweep, pool)
    assert said.startswith("data image_folder: 16-bit pictures: no value is above 40")


def damaged() -> dict[str, bytes]:
    noise = Image.fromarray(bytes_of(3, 24, 20, 3))
    exif = noise.getexif()
    exif[ORIENTATION] = 6
    return {
        "PNG": encoded(noise, "PNG", exif=exif),
        "deep PNG": encoded(Image.fromarray(bytes_of(0, 9, 9).astype(np.uint16) * 257), "PNG"),
        "JPEG": encoded(noise, "JPEG", exif=exif),
        "GIF": encoded(noise.quantize(), "GIF", save_all=True, append_images=[noise.rotate(90).quantize()]),
        "WebP": encoded(noise, "WEBP", exif=exif),
        "TIFF": encoded(Image.fromarray(bytes_of(0, 9, 9).astype(np.float32) / 255), "TIFF"),
        "PPM": encoded(noise, "PPM"),
    }


@pytest.mark.parametrize("kind", damaged())
@pytest.mark.filterwarnings("ignore")  # what pillow warns of is the damage
def test_damaged_files_are_read_or_refused_and_nothing_else(kind: str) -> None:
    whole, draws = damaged()[kind], np.random.default_rng(0)
    refused = 0
    for turn in range(200):
        raw = bytearray(whole)
        if turn % 2:
            raw = raw[: draws.integers(len(raw))]
        else:
            for place in draws.integers(min(len(raw), 400), size=3):
                raw[place] = draws.integers(256)
        try:
            read = levels(bytes(raw), side=6, colour="rgb")
        except (Refused, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            refused += 1  # what `read_pictures` names the file for
        else:
            assert read.dtype == np.uint8
    assert refused > 20


def test_the_default_fit_leaves_trials_their_ids(tmp_path: Path) -> None:
    """The data row of a trial is as it was before there was `fit`, and so is the id that is made of it."""
    path = tmp_path / "own.toml"
    rows = {}
    for line in ("", 'fit = "squeeze"', 'fit = "pad"'):
        tail = SWEEP.partition("[network]")[2]
        path.write_text(f'[data]\nname = "image_folder"\npath = "own"\nside = 8\n{line}\n[network]{tail}')
        rows[line] = Sweep.read(path).arms[0].template
    old = ["name", "train", "validation", "split_seed", "label_noise", "pixels", "path", "test_share", "side", "colour"]
    assert list(rows[""].data) == old
    assert rows[""].id == rows['fit = "squeeze"'].id != rows['fit = "pad"'].id
    assert rows['fit = "pad"'].data["fit"] == "pad"


def test_a_fit_that_is_none_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        f'[data]\nname = "image_folder"\npath = "own"\nfit = "croped"\n[network]{SWEEP.partition("[network]")[2]}'
    )
    with pytest.raises(Refused, match=r"data\.fit: expected one of 'squeeze', 'crop', 'pad', .*did you mean 'crop'"):
        Sweep.read(path)


def test_a_picture_that_is_square_is_the_same_in_every_fit(tmp_path: Path) -> None:
    write_pictures(tmp_path / "own", side=9)
    first, *others = (
        ImageFolder(path="own", side=5, fit=fit).pool(DataLocation(root=tmp_path)).train.images
        for fit in ("squeeze", "crop", "pad")
    )
    assert all(torch.equal(first, other) for other in others)
