"""A folder of real photographs in classes: crops of those that scikit-image and scikit-learn ship.

    pip install scikit-image
    python benchmarks/photo_crops.py FOLDER [--each 60]

Each photograph is a class. The crops of the training part come from its left three quarters, those
of the test part from the rest, which share no pixel; sides are 80 to 240 pixels, as JPEG files. The
draws have a fixed seed; crops without texture, such as clear sky, are drawn again. What can be
learned from it is how the product works on photographs, not how good a method is: one photograph a
class says nothing about others.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

PHOTOS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "galaxies": "hubble_deep_field.jpg",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "tissue": "ihc.png",
}
SIDES = (80, 240)
TRAIN_SHARE = 0.75
TEST_PER_TRAIN = 0.25
LEAST_TEXTURE = 20  # standard deviation of a crop's pixel values


def photographs():
    """Yields (class name, uint8 array (height, width, 3))."""
    import skimage

    folder = pathlib.Path(skimage.__file__).parent / "data"
    for name, file in PHOTOS.items():
        yield name, np.asarray(Image.open(folder / file).convert("RGB"))
    for name, image in zip(("temple", "flower"), load_sample_images().images, strict=True):
        yield name, image


def write_crops(image, count, folder, generator):
    """Writes random square crops of an image as JPEG files."""
    folder.mkdir(parents=True)
    height, width = image.shape[:2]
    number = 0
    while number < count:
        side = int(generator.integers(SIDES[0], min(SIDES[1], height, width) + 1))
        top = int(generator.integers(height - side + 1))
        left = int(generator.integers(width - side + 1))
        crop = image[top : top + side, left : left + side]
        if crop.std() >= LEAST_TEXTURE:
            Image.fromarray(crop).save(folder / f"{number:03d}.jpg", quality=92)
            number += 1


def main():
    """Writes FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--each", type=int, default=60, help="training crops of each photograph")
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    for name, image in photographs():
        border = int(image.shape[1] * TRAIN_SHARE)
        parts = {"train": (image[:, :border], given.each)}
        parts["test"] = (image[:, border:], max(1, round(given.each * TEST_PER_TRAIN)))
        for part, (pixels, count) in parts.items():
            write_crops(pixels, count, given.folder / part / name, generator)


if __name__ == "__main__":
    main()
