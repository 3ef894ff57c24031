"""Pictures and DICOM files with changed bytes: the pixels that Pillow or pydicom read, or a refusal."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from tests.datasets import written
from tests.fuzz import guard
from tests.fuzz.mutations import applied, edits

GREY = np.random.default_rng(0).integers(0, 256, (9, 13), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (9, 13, 3), np.uint8)
DEEP = GREY.astype(np.uint16) * 16


def _coded(pixels: np.ndarray, kind: str, mode: str = "", **options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def _dicom(pixels: np.ndarray, **elements) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        written.dicom(Path(folder, "x.dcm"), pixels, **elements)
        return Path(folder, "x.dcm").read_bytes()


WINDOW = {"BitsStored": 12, "HighBit": 11, "WindowCenter": [2000, 1000], "WindowWidth": [3000, 500]}
FILES = {
    "grey.png": _coded(GREY, "PNG"),
    "colour.png": _coded(COLOUR, "PNG"),
    "palette.png": _coded(COLOUR, "PNG", "P"),
    "transparent.png": _coded(GREY, "PNG", "LA"),
    "bits.png": _coded(GREY, "PNG", "1"),
    "deep.png": _coded(DEEP, "PNG"),
    "grey.jpg": _coded(GREY, "JPEG"),
    "colour.jpg": _coded(
        COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
    ),
    "grey.tif": _coded(GREY, "TIFF"),
    "packed.tif": _coded(COLOUR, "TIFF", compression="tiff_lzw"),
    "deep.tif": _coded(DEEP, "TIFF"),
    "real.tif": _coded(GREY.astype(np.float32), "TIFF"),
    "colour.bmp": _coded(COLOUR, "BMP"),
    "palette.gif": _coded(COLOUR, "GIF", "P"),
    "colour.webp": _coded(COLOUR, "WEBP"),
    "grey.pgm": _coded(GREY, "PPM"),
    "grey.jp2": _coded(GREY, "JPEG2000"),
    "coded.dcm": _dicom(GREY),
    "plain.dcm": _dicom(GREY, jpeg=False),
    "deep.dcm": _dicom(DEEP, jpeg=False, BitsStored=12, HighBit=11),
    "window.dcm": _dicom(DEEP, jpeg=False, **WINDOW),
    "inverted.dcm": _dicom(DEEP, jpeg=False, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, **WINDOW),
}


def _read(file: Path) -> tuple[np.ndarray, tuple[int, int]]:
    return images.read(file), images.size_of(file)


@pytest.mark.parametrize("name", FILES)
@guard.fuzzed(12)
@given(data=st.data())
def test_a_changed_image_is_read_or_refused(name, data):
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder, name)
        file.write_bytes(applied(FILES[name], data.draw(edits(name))))
        found = guard.attempt(lambda: _read(file))
        mask = guard.attempt(lambda: images.read_mask(file))
        if isinstance(found, SaltrustError):
            return
        pixels, size = found
        assert pixels.dtype == np.uint8
        assert pixels.shape[1::-1] == size
        if not name.endswith(".dcm"):
            with Image.open(file) as theirs:
                values = np.asarray(theirs.convert("RGB")) if theirs.mode not in images.DEEP else None
            ours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            if values is not None:
                np.testing.assert_array_equal(ours, values)
            assert isinstance(mask, SaltrustError) or mask.shape == pixels.shape[:2]
