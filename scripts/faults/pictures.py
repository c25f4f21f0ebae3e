"""Folders of small PNG images, written with zlib."""
import pathlib
import random
import struct
import zlib


def chunk(kind, data):
    """A chunk of a PNG file."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(side, rgb):
    """A square RGB PNG; `rgb(x, y)` is the colour of a pixel."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(side) for value in rgb(x, y)) for y in range(side)
    )
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def picture(label, number, side=20):
    """An image of a class: the class decides the stripes' period and colour, the number shifts them."""
    draw = random.Random(f"{label} {number}")
    colour = [random.Random(f"{label} {channel}").randrange(60, 256) for channel in range(3)]
    shift, period = draw.randrange(side), 2 + label % 7

    def rgb(x, y):
        on = (x + shift + (y if label % 2 else 0)) // period % 2
        return [min(255, on * value + draw.randrange(40)) for value in colour]

    return png(side, rgb)


def write_images(root, classes=16, images=6):
    """Writes ROOT/CLASS/N.png. The first half of the classes trains, the rest tests."""
    for label in range(classes):
        folder = pathlib.Path(root) / f"class-{label:02}"
        folder.mkdir(parents=True)
        for number in range(images):
            (folder / f"{number}.png").write_bytes(picture(label, number))
