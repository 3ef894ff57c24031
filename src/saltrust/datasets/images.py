"""Images from files that nobody has checked: PNG, JPEG, TIFF and the like by Pillow, DICOM by pydicom; all 8 bits.

Stored pixels are returned, as annotations refer to them. An image whose EXIF tag says that it lies on its side is
refused: some tools annotate what is stored and others what is shown, and nothing in the files tells which.

Eight bits stay as they are. More than eight are mapped to 0 to 255 by the DICOM window if there is one, else from the
image's darkest to its brightest pixel, as viewers do: how many bits a file declares says little of how many it uses (12
in 16 is common), and by the declared range such an image would come out black.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from PIL import ExifTags, Image
from pydicom.pixels import apply_modality_lut, apply_voi, get_decoder, pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from scipy.special import expit

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.core.user_files import opened

MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # of an image: Pillow opens none that says that it has more

# Pillow's modes with eight bits or less in a channel, and whether they are grey or colour; those with more are grey.
EIGHT_BIT = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "YCbCr": "RGB"}
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "GIF", "WEBP", "PPM")  # not EPS, for which Pillow runs a program
DEFLATED = DeflatedExplicitVRLittleEndian.encode()
DICOM = (".dcm", ".dicom")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".jp2", *DICOM)


def read(file: Path) -> np.ndarray:
    """The pixels of an image. Transparency is ignored.

    Args:
        file: a picture or DICOM file.

    Returns:
        uint8 (height, width) if it is grey, else (height, width, 3); an image in colour whose three channels agree
        everywhere is grey.

    Raises:
        SaltrustError: Naming the file and what is wrong with it.
    """
    with opened(file, "image") as stream, _named(file):
        pixels = _whole_dicom(stream) if _is_dicom(stream) else _picture_pixels(_picture(stream))
    grey = pixels.ndim == 3 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if grey else pixels


def read_mask(file: Path) -> np.ndarray:
    """The pixels of a picture that are not black (height, width), bool: any value above 0, in any channel, marks."""
    with opened(file, "image") as stream, _named(file):
        picture = _picture(stream)
        if picture.mode in EIGHT_BIT:
            picture = picture.convert(EIGHT_BIT[picture.mode])
    marked = np.asarray(picture) != 0
    return marked.any(axis=2) if marked.ndim == 3 else marked


def size_of(file: Path) -> tuple[int, int]:
    """Width and height of an image in pixels, from its header alone. Raises SaltrustError as `read` does."""
    with opened(file, "image") as stream, _named(file):
        if _is_dicom(stream):
            return _dicom_size(stream)
        return Image.open(stream, formats=FORMATS).size


def patient_of(file: Path) -> str:
    """The PatientID of a DICOM file, "" where it has none. Raises SaltrustError as `read` does."""
    with opened(file, "image") as stream, _named(file):
        header = _dicom(stream, specific_tags=["Rows", "Columns", "PatientID"], stop_before_pixels=True)
        return str(header.get("PatientID") or "")


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes a SaltrustError with its name: decoders raise what broken bytes lead to,
    and those of Pillow and pydicom have no class of errors in common."""
    try:
        yield
    except SaltrustError as error:
        raise SaltrustError(f"{file}: {error}") from error
    except Exception as error:
        why = f"cannot be read as {'DICOM' if file.suffix.lower() in DICOM else 'an image'}"
        raise SaltrustError(f"{file}: {why}: {error or type(error).__name__}") from error


def _is_dicom(stream: BinaryIO) -> bool:
    """Whether a file is called, or marked as, DICOM."""
    start = stream.read(132)
    stream.seek(0)
    return start[128:] == b"DICM" or Path(stream.name).suffix.lower() in DICOM


def check_pixels(width: float, height: float) -> None:
    """Raise SaltrustError for a size that no image has that can be read: a few bytes may ask for all memory."""
    if width * height > MOST_PIXELS:
        raise SaltrustError(f"{width:g} x {height:g} pixels are more than an image may have, {MOST_PIXELS:,}")


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """An image at another size: averaged where it shrinks, else interpolated.

    Args:
        pixels: (h, w) or (h, w, 3) uint8.
        size: side of the result, in pixels.

    Returns:
        (size, size) or (size, size, 3) uint8.
    """
    image = Image.fromarray(pixels)
    way = Image.Resampling.BOX if image.width > size else Image.Resampling.BILINEAR
    return np.asarray(image.resize((size, size), way))


def _picture(stream: BinaryIO) -> Image.Image:
    """The picture, decoded, in one of the modes that we know."""
    image = Image.open(stream, formats=FORMATS)
    if (count := getattr(image, "n_frames", 1)) > 1:
        raise SaltrustError(f"holds {count} images; one is allowed")
    if image.mode not in (*EIGHT_BIT, *DEEP):
        raise SaltrustError(f"pixels of mode '{image.mode}'; allowed: {', '.join((*EIGHT_BIT, *DEEP))}")
    if image.mode in EIGHT_BIT and any(";16" in str(tile[3]) for tile in image.tile):  # Pillow would cut them
        raise SaltrustError("has colour of 16 bits in a channel; save it grey, or with 8 bits")
    image.load()
    if image.mode in ("P", "PA"):
        _check_palette(image)
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in (0, 1):
        raise SaltrustError(f"its EXIF orientation is {orientation}; store its pixels upright, without the tag")
    return image


def _check_palette(image: Image.Image) -> None:
    """Raise SaltrustError for pixels without a colour, which Pillow takes for black."""
    colours = len(image.palette.palette) // len(image.palette.mode) if image.palette else 0
    if (highest := int(np.asarray(image.getchannel(0)).max())) >= colours:
        raise SaltrustError(f"its palette has {colours} colours, and a pixel asks for number {highest}")


def _picture_pixels(image: Image.Image) -> np.ndarray:
    if image.mode in EIGHT_BIT:
        return np.asarray(image.convert(EIGHT_BIT[image.mode]))
    values = _finite(np.asarray(image).astype(float))
    return _grey(values, values.min(), values.max())


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise SaltrustError("has pixels that are not finite")
    return values


def _grey(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8, `low` and below black, `high` and above white; all black where these are the same."""
    return np.rint(np.clip((values - low) / ((high - low) or 1), 0, 1) * 255).astype(np.uint8)


def _dicom(stream: BinaryIO, **options) -> pydicom.Dataset:
    if DEFLATED in stream.read(2_000):
        raise SaltrustError("is deflated as a whole, and may grow to any size; store it uncompressed")
    stream.seek(0)
    dataset = pydicom.dcmread(stream, **options)
    if not (dataset.get("Rows") and dataset.get("Columns")):
        raise SaltrustError("a DICOM file without an image (no Rows and Columns)")
    check_pixels(int(dataset.Columns), int(dataset.Rows))
    return dataset


def _dicom_size(stream: BinaryIO) -> tuple[int, int]:
    """Width and height, from the header alone."""
    header = _dicom(stream, specific_tags=["Rows", "Columns"], stop_before_pixels=True)
    return int(header.Columns), int(header.Rows)


def _whole_dicom(stream: BinaryIO) -> np.ndarray:
    """The pixels, of the size that the header tells: an element may come again behind the pixels, and then counts."""
    size = _dicom_size(stream)
    stream.seek(0)
    dataset = _dicom(stream)
    width, height = int(dataset.Columns), int(dataset.Rows)
    if (width, height) != size:
        raise SaltrustError(f"tells two sizes, {size[0]} × {size[1]} and {width} × {height} pixels")
    return _dicom_pixels(dataset)


def _dicom_pixels(dataset: pydicom.Dataset) -> np.ndarray:
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise SaltrustError(f"holds {dataset.NumberOfFrames} frames; one is allowed")
    if not dataset.get("PixelData"):
        raise SaltrustError("has no pixel data")
    kind = dataset.get("PhotometricInterpretation", "none")
    if kind not in KINDS:
        raise SaltrustError(f"photometric interpretation {kind}; allowed: {', '.join(KINDS)}")
    _check_decoder(dataset.file_meta.get("TransferSyntaxUID"))
    stored = pixel_array(dataset)
    if stored.shape[:2] != (dataset.Rows, dataset.Columns):  # pydicom takes what is left over for further frames
        raise SaltrustError(f"holds pixels for more than one image of {dataset.Columns} × {dataset.Rows}")
    return KINDS[kind](dataset, stored)


def _check_decoder(syntax: UID | None) -> None:
    """Raise SaltrustError naming the packages that decode a transfer syntax, if none of them is installed."""
    if syntax is None:
        raise SaltrustError("does not say how its pixels are stored (no TransferSyntaxUID)")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise SaltrustError(f"pixels stored as {syntax.name}, which nothing here decodes") from None
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise SaltrustError(f"pixels stored as {syntax.name}; to decode these, install one of: {missing}")


def _grey_dicom(dataset: pydicom.Dataset, stored: np.ndarray) -> np.ndarray:
    """Black to white from stored values (PS3.3 C.11.1 and C.11.2): modality LUT, then the first VOI LUT or window.

    Padding (PixelPaddingValue) is black, and does not count where the range is that of the image.
    """
    values = _finite(apply_modality_lut(stored, dataset).astype(float))
    padding = _padding(dataset, stored)
    if dataset.get("VOILUTSequence"):
        grey = _grey(apply_voi(values.astype(int), dataset), 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif (window := _first(dataset, "WindowWidth")) is not None:
        centre = _first(dataset, "WindowCenter")
        if centre is None or not np.isfinite(centre):
            raise SaltrustError("its window has no centre")
        if not 0 < window < np.inf:
            raise SaltrustError(f"its window is {window:g} wide; allowed: above 0")
        shape = WINDOWS[dataset.get("VOILUTFunction") or "LINEAR"]
        grey = _grey(shape(values, centre, window), 0, 1)
    elif dataset.BitsStored <= 8:
        lowest = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        ends = np.array([lowest, lowest + 2**dataset.BitsStored - 1])
        grey = _grey(values, *sorted(apply_modality_lut(ends, dataset)))
    else:
        used = values[~padding] if not padding.all() else values
        grey = _grey(values, used.min(), used.max())
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    return np.where(padding, np.uint8(0), grey)


def _first(dataset: pydicom.Dataset, name: str) -> float | None:
    """The first value of an element that may have several, None where it is absent or empty."""
    element = dataset.get_item(name) and dataset[name]
    if not element or element.is_empty:
        return None
    return float(element.value[0] if element.VM > 1 else element.value)


def _padding(dataset: pydicom.Dataset, stored: np.ndarray) -> np.ndarray:
    """Which stored values are padding: PixelPaddingValue, or the range from it to PixelPaddingRangeLimit."""
    ends = [dataset.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [end for end in ends if end is not None]
    return (stored >= min(ends)) & (stored <= max(ends)) if ends else np.zeros(stored.shape, dtype=bool)


def _colour_dicom(dataset: pydicom.Dataset, stored: np.ndarray) -> np.ndarray:
    if stored.dtype != np.uint8 or stored.shape[2:] != (3,):
        raise SaltrustError(f"colour pixels of type {stored.dtype}; allowed: three channels of 8 bits")
    return stored  # pydicom has converted YBR to RGB


KINDS: dict[str, Callable[[pydicom.Dataset, np.ndarray], np.ndarray]] = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2"), _grey_dicom),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), _colour_dicom),
}

# How a window (centre, width) maps values to 0 (black) and 1 (white): DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.
WINDOWS: Registry[Callable[[np.ndarray, float, float], np.ndarray]] = Registry("VOI LUT function")


@WINDOWS.register("LINEAR")
def _linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5


@WINDOWS.register("LINEAR_EXACT")
def _linear_exact(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return (values - centre) / width + 0.5


@WINDOWS.register("SIGMOID")
def _sigmoid(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return expit(4 * (values - centre) / width)
