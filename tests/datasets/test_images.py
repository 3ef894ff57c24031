"""Reading images: what each kind of file holds comes out as 8 bits, against Pillow and pydicom; the rest is refused."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from saltrust.core.errors import SaltrustError
from saltrust.datasets import images

GREY = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def dicom(file: Path, pixels: np.ndarray, bits: int | None = None, syntax=ExplicitVRLittleEndian, **elements) -> Path:
    """Write pixels (h, w) or (h, w, 3) as a DICOM file; an element given as None is left out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif"])
def test_grey_pictures_come_as_they_are(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(file)
    np.testing.assert_array_equal(images.read(file), GREY)
    assert images.size_of(file) == (20, 12)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", np.where(GREY > 127, 255, 0)),
        ("LA", GREY),
        ("RGB", GREY),
        ("RGBA", GREY),
        ("P", GREY),
    ],
)
def test_every_mode_of_eight_bits(tmp_path, mode, expected):
    source = Image.fromarray(GREY)
    source = source.convert(mode, dither=Image.Dither.NONE) if mode == "1" else source.convert(mode)
    source.save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_stays_colour(tmp_path, mode):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), COLOUR)


def test_a_jpeg_is_what_pillow_decodes(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", quality=80)
    np.testing.assert_array_equal(images.read(tmp_path / "a.jpg"), np.asarray(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_twelve_bits_in_sixteen_span_black_to_white(tmp_path, suffix):
    values = np.linspace(40, 4000, 240).astype(np.uint16).reshape(12, 20)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    expected = np.rint((values - 40.0) / 3960 * 255)
    np.testing.assert_array_equal(images.read(tmp_path / f"a.{suffix}"), expected)


def test_float_pixels_span_black_to_white(tmp_path):
    Image.fromarray(np.array([[-1, 0], [0.5, 1]], dtype=np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif"), [[0, 128], [191, 255]])


def test_an_image_of_one_value_is_black(tmp_path):
    Image.fromarray(np.full((3, 3), 700, np.uint16)).save(tmp_path / "a.png")
    assert not images.read(tmp_path / "a.png").any()


@pytest.mark.parametrize("kind", ["1", "L", "P", "RGB", "I;16"])
def test_any_value_above_zero_marks(tmp_path, kind):
    marked = GREY % 3 == 0
    if kind == "I;16":
        Image.fromarray(marked.astype(np.uint16)).save(tmp_path / "m.png")
    elif kind == "P":  # a palette whose first colour is black and whose second is a dark blue, which is grey 0
        picture = Image.fromarray(marked.astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 0, 0, 1])
        picture.save(tmp_path / "m.png")
    elif kind == "RGB":
        Image.fromarray(marked[..., None] * np.array([0, 0, 1], np.uint8)).save(tmp_path / "m.png")
    else:
        Image.fromarray(marked if kind == "1" else marked.astype(np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.png"), marked)


def test_resizing_averages_down_and_keeps_the_kind():
    assert images.resized(COLOUR, 5).shape == (5, 5, 3)
    blocks = GREY[:, :12].astype(float).reshape(4, 3, 4, 3).mean((1, 3))
    np.testing.assert_allclose(images.resized(GREY[:, :12], 4), blocks, atol=0.51)  # Pillow rounds to 8 bits


def test_eight_bits_of_dicom_come_as_they_are(tmp_path):
    file = dicom(tmp_path / "a.dcm", GREY // 2)  # not stretched: 0 to 127 stay so
    np.testing.assert_array_equal(images.read(file), GREY // 2)
    assert images.size_of(file) == (20, 12)


def test_dicom_is_known_by_its_mark_too(tmp_path):
    np.testing.assert_array_equal(images.read(dicom(tmp_path / "1.2.840", GREY)), GREY)


def test_monochrome1_is_the_negative(tmp_path):
    file = dicom(tmp_path / "a.dcm", GREY, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(images.read(file), 255 - GREY)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, -300)])
@pytest.mark.parametrize("signed", [False, True])
def test_windows_agree_with_pydicom(tmp_path, function, slope, intercept, signed):
    values = np.linspace(-2048 if signed else 0, 2047 if signed else 4095, 240).astype(
        np.int16 if signed else np.uint16
    )
    window = {"WindowCenter": ["400", "1"], "WindowWidth": ["900", "2"], "RescaleSlope": slope}
    function_of = {"VOILUTFunction": function} if function else {}
    file = dicom(tmp_path / "a.dcm", values.reshape(12, 20), 12, RescaleIntercept=intercept, **window, **function_of)
    dataset = pydicom.dcmread(file)
    shown = apply_windowing(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    low, high = (slope * end + intercept for end in ((-2048, 2047) if signed else (0, 4095)))
    expected = (shown - low) / (high - low) * 255
    np.testing.assert_allclose(images.read(file), expected, atol=0.501)  # rounding to 8 bits


def test_a_lookup_table_agrees_with_pydicom(tmp_path):
    values = (np.arange(240) % 16).astype(np.uint16).reshape(12, 20)
    entries = pydicom.Dataset()
    entries.LUTDescriptor, entries.LUTData = [16, 0, 12], [(i * 273) for i in range(16)][::-1]
    entries["LUTDescriptor"].VR = entries["LUTData"].VR = "US"
    file = dicom(tmp_path / "a.dcm", values, 12, VOILUTSequence=[entries])
    np.testing.assert_array_equal(images.read(file), np.rint((15 - values.astype(float)) * 273 / 4095 * 255))


def test_without_a_window_more_bits_span_their_range_but_for_padding(tmp_path):
    values = np.linspace(100, 1100, 240).astype(np.int16).reshape(12, 20)
    values[0] = -2000
    plain = dict(RescaleIntercept=-5, RescaleSlope=2)
    found = images.read(dicom(tmp_path / "a.dcm", values, PixelPaddingValue=-2000, **plain))
    kept = values[1:].astype(float)
    np.testing.assert_array_equal(found[1:], np.rint((kept - kept.min()) / (kept.max() - kept.min()) * 255))
    assert not found[0].any()
    inverse = dict(PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=-2000)
    negative = images.read(dicom(tmp_path / "b.dcm", values, **inverse))
    np.testing.assert_array_equal(negative[1:], 255 - found[1:])
    assert not negative[0].any()  # padding is black there, too


def test_colour_dicom(tmp_path):
    np.testing.assert_array_equal(images.read(dicom(tmp_path / "a.dcm", COLOUR)), COLOUR)
    ybr = np.asarray(Image.fromarray(COLOUR).convert("YCbCr"))
    found = images.read(dicom(tmp_path / "b.dcm", ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found.astype(int) - COLOUR).max() <= 3  # rounding there and back


def test_jpeg_in_dicom_is_what_pillow_decodes(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=90)
    data = encapsulate([(tmp_path / "a.jpg").read_bytes()])
    file = dicom(tmp_path / "a.dcm", GREY, syntax=JPEGBaseline8Bit, PixelData=data)
    np.testing.assert_array_equal(images.read(file), np.asarray(Image.open(tmp_path / "a.jpg")))


def _bytes(content: bytes, name: str = "a.png"):
    return lambda folder: (folder / name).write_bytes(content) and folder / name


def _picture(array, name="a.png", mode=None, **options):
    def write(folder):
        picture = Image.fromarray(array)
        (picture.convert(mode) if mode else picture).save(folder / name, **options)
        return folder / name

    return write


def _upside_down(folder):
    picture = Image.fromarray(GREY)
    picture.getexif()[0x0112] = 3
    picture.save(folder / "a.jpg", exif=picture.getexif())
    return folder / "a.jpg"


def _cut(write, keep):
    def cut(folder):
        file = write(folder)
        file.write_bytes(file.read_bytes()[:keep])
        return file

    return cut


def _dicom(pixels=GREY, **elements):
    return lambda folder: dicom(folder / "a.dcm", pixels, **elements)


def _compressed(syntax):
    return _dicom(syntax=syntax, PixelData=encapsulate([b"\0" * 64]))


MORE = [Image.fromarray(GREY + k) for k in (1, 2, 3)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: folder / "gone.png", r"no image .*gone\.png"),
        (lambda folder: folder / "gone.dcm", r"no image .*gone\.dcm"),
        (lambda folder: folder, "is a folder; only regular files are read"),
        (lambda folder: folder / ("x" * 300 + ".png"), "cannot be opened: File name too long"),
        (_bytes(b"no image"), r"a\.png: cannot be read as an image"),
        (
            _bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
            "a.png: cannot be read as an image",
        ),  # a program
        (_bytes(b"\x80\x04\x95pickle"), r"a\.png: cannot be read as an image"),
        (_cut(_picture(np.tile(GREY, (20, 20))), 400), r"a\.png: cannot be read as an image"),
        (_cut(_picture(np.tile(GREY, (20, 20)), "a.jpg"), 800), r"a\.jpg: cannot be read as an image"),
        (_upside_down, "its EXIF orientation is 3; store its pixels upright"),
        (_picture(GREY, "a.gif", save_all=True, append_images=MORE), "holds 4 images; one is allowed"),
        (_picture(COLOUR, "a.tif", "CMYK"), "pixels of mode 'CMYK'; allowed: 1, L, LA"),
        (_picture(np.array([[0, np.nan]], np.float32), "a.tif"), "has pixels that are not finite"),
        (_bytes(b"no image", "a.dcm"), r"a\.dcm: cannot be read as DICOM: File is missing DICOM File Meta"),
        (_cut(_dicom(), 100), r"a\.dcm: cannot be read as DICOM"),
        (_cut(_dicom(), 700), r"a\.dcm: "),
        (_dicom(PixelData=None), "has no pixel data"),
        (_dicom(RescaleSlope="inf", RescaleIntercept=0), "has pixels that are not finite"),
        (_dicom(Rows=None), r"a DICOM file without an image \(no Rows and Columns\)"),
        (_dicom(NumberOfFrames=2), "holds 2 frames; one is allowed"),
        (_dicom(PixelData=b"\0\0"), "cannot be read as DICOM: The number of bytes of pixel data is less"),
        (_dicom(BitsAllocated=None), "cannot be read as DICOM: .*Bits"),
        (_dicom(PhotometricInterpretation="PALETTE COLOR"), "photometric interpretation PALETTE COLOR; allowed: MONO"),
        (_dicom(PhotometricInterpretation=None), "photometric interpretation none; allowed: MONOCHROME1"),
        (_dicom(WindowCenter=1, WindowWidth=0), r"a\.dcm: its window is 0 wide; allowed: above 0"),
        (_dicom(WindowCenter=1, WindowWidth=9, VOILUTFunction="CUBIC"), "unknown VOI LUT function 'CUBIC'"),
        (_dicom(WindowWidth=9), "its window has no centre"),
        (_compressed(JPEGLossless), "JPEG Lossless.*install one of: .*pylibjpeg-libjpeg"),
        (_compressed(JPEGLSLossless), "JPEG-LS.*install one of: .*pyjpegls"),
        (_compressed(HTJ2KLossless), "High-Throughput JPEG 2000.*install one of: .*pylibjpeg-openjpeg"),
        (_compressed(pydicom.uid.MPEG2MPML), "MPEG2.*which nothing here decodes"),
        (_compressed(JPEGBaseline8Bit), "cannot be read as DICOM"),
        (_dicom(COLOUR.astype(np.uint16)), "colour pixels of type uint16; allowed: three channels of 8 bits"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, write, message):
    file = write(tmp_path)
    with pytest.raises(SaltrustError, match=message) as error:
        images.read(file)
    assert str(file) in str(error.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.dcm"])
def test_broken_bytes_give_an_image_or_an_error_that_names_the_file(tmp_path, name):
    file = tmp_path / name
    windowed = {"WindowCenter": [90, 2], "WindowWidth": [99, 3], "RescaleSlope": 2, "RescaleIntercept": 0}
    dicom(file, GREY, **windowed) if file.suffix == ".dcm" else Image.fromarray(GREY).save(file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        broken = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 6)):
            broken[place] = rng.integers(256)
        file.write_bytes(broken[: rng.integers(len(whole))] if rng.random() < 0.3 else broken)
        try:
            pixels = images.read(file)
        except SaltrustError as error:
            message = str(error)
        else:
            message = ""
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 2 or pixels.shape[2:] == (3,)
            assert images.size_of(file) == pixels.shape[1::-1]
        assert not message or str(file) in message
        refused += bool(message)
    assert 10 < refused < 150


def test_a_picture_too_large_to_be_one_is_refused(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(SaltrustError, match=r"a\.png: cannot be read as an image: Image size .* exceeds limit"):
        images.size_of(tmp_path / "a.png")
