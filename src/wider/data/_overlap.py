"""Images that are in both splits of a dataset."""

from collections.abc import Hashable, Iterable, Sequence


def overlap(train: Iterable[Hashable], test: Sequence[Hashable]) -> tuple[str, ...]:
    """A note of the test images that are training images, too; none if there are none.

    Args:
        train: something of each training image that equal images share, such as a digest.
        test: the same of each test image.
    """
    places = {image: place for place, image in enumerate(train)}
    found = [(place, places[image]) for place, image in enumerate(test) if image in places]
    if not found:
        return ()
    place, same = found[0]
    return (
        f"{len(found):,} of {len(test):,} test images are training images, too, such as test image "
        f"{place}, which is training image {same}",
    )
