"""Maps that keep an explainer's statistics and lose what it says about the image.

A raw score mixes where a map points with how it is textured: scattered removal hurts any network more than
removing a blob. What a map knows is how far it beats its own nulls.
"""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float, Float64, Int, Shaped
from scipy.optimize import linear_sum_assignment

from harness.digest import digest
from harness.perturbation._seeds import Stream, generator, keys_or_content

# About the least error over noise, smooth, rectified, binary and heavy-tailed maps; .75 to .9 are alike.
RELAXATION = 0.85

TEXTURE = 2.0**-7
"""Steps of a map's standard deviation to which its texture is read.

Places are found by sorting again and again, which lets a difference in the last bit grow until 1 to 2% of the pixels
have changed places. Read in steps, maps that differ by rounding alone have the same null, but for the few that have a
value half-way between two steps: 7 of 8 null maps of gradients, Grad-CAM and occlusion, where there were none. The
amplitudes are off by up to 2**-7 / sqrt(12), .002 of their size.
"""


SHIFTS = 3
"""Shifts along each side in :func:`shifted`: those of a picture cut in 3 x 3 cells, which go round all cells."""

KEPT_BYTES = 32 * 2**20
"""Most that is remembered of null maps: those of some hundred pictures under a few seeds; what is unused for longest
goes first."""

_orders: OrderedDict[str, Int[np.ndarray, " hw"]] = OrderedDict()


def spectrum_null(
    maps: Float[np.ndarray, "n h w"],
    *,
    seed: int,
    keys: Int[np.ndarray, " n"] | None = None,
    iterations: int = 20,
) -> Float[np.ndarray, "n h w"]:
    """Return maps of the same values and smoothness in random places.

    Start from white noise and go to and fro between the maps that have this map's Fourier amplitudes and those
    that have its values, ending on the values: the histogram is exactly the map's, the amplitude spectrum
    approximate. The surrogate data of Schreiber & Schmitz 1996 alternate between the two; that stalls on maps with
    many equal values and leaves binary maps far too rough, so the steps are relaxed averaged alternating
    reflections (Luke 2005), which cost the same.

    After 20 steps at 64 x 64 the mean `spectrum_error` is below .003 for noise and smooth maps, .005 for heavy
    tails, .01 for one blob, .03 for large segments, .02 to .07 for rectified maps, .1 to .2 for binary ones (.45 at
    worst) and up to .6 for isolated equal points. A sparse or simple map is nearly fixed by its spectrum and
    values: its null is often the map itself, moved and perhaps turned by 180 degrees.

    Location: the noise has none and every step commutes with circular shifts, so a null and all its circular
    shifts are equally likely. Images are not circles, which means two things. A structure cut by one border goes
    on at the opposite one, and a step between opposite borders of the map counts as texture that may lie
    anywhere. And a null lies in the corners as often as in the middle, so a map earns something against it by
    pointing at the middle of the image; the transplant null and a centre prior take that away.

    Parameters
    ----------
    maps
        Signed. A constant map, which has no places, is returned as it is.
    seed
        Not negative; another seed gives an independent null.
    keys
        One integer an image, from which its null is drawn wherever it stands in the batch; by default from
        the map's content.
    iterations
        Steps after the first draw. Each takes about .2 ms a map at 64 x 64.

    Returns
    -------
    Maps of the same shape and dtype.

    Raises
    ------
    ValueError
        If a map holds NaN or infinity, or `iterations` is negative.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(1, 8, 8))
    >>> null = spectrum_null(maps, seed=0)
    >>> bool((np.sort(null, axis=None) == np.sort(maps, axis=None)).all()), bool((null == maps).all())
    (True, False)
    """
    _require_finite(maps)
    if iterations < 0:
        raise ValueError(f"{iterations} iterations; give zero or more")
    nulls = maps.copy()
    for null, key in zip(nulls, keys_or_content(maps, keys), strict=True):
        if null.min() < null.max():
            null.flat[_remembered_order(null, seed, int(key), iterations)] = np.sort(null, axis=None)
    return nulls


def spectrum_error(maps: Float[np.ndarray, "n h w"], nulls: Float[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return how far each null's Fourier amplitudes are from its map's, relative to the map's.

    The root of the summed squares over all frequencies but the mean: 0 is the same spectrum, and the same values
    shuffled have .65 if the map is noise and 1.2 to 1.3 if it is smooth. NaN for a constant map, which has no
    amplitude to compare with.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(1, 8, 8))
    >>> spectrum_error(maps, np.roll(maps, 3, axis=2)).round(6)
    array([0.])
    """
    own, other = (_amplitudes(np.asarray(m, dtype=np.float64)) for m in (maps, nulls))
    size = np.sqrt((own**2).sum(axis=(1, 2)))
    constant = maps.min(axis=(1, 2)) == maps.max(axis=(1, 2))
    gap = np.sqrt(((own - other) ** 2).sum(axis=(1, 2)))
    errors: Float64[np.ndarray, " n"] = np.divide(gap, size, out=np.full(len(maps), np.nan), where=~constant)
    return errors


def shifted(nulls: Float[np.ndarray, "n h w"]) -> Iterator[Float[np.ndarray, "n h w"]]:
    """Yield null maps shifted round the borders by every pair of thirds of the sides, not shifted first: nine in all.

    A spectrum null and its circular shifts are equally likely, so the mean of a score over the nine has the
    expectation that one null's score has. It hangs far less on the draw, since where one places a blob well the others
    do not: of settled pairs, whose scores under one null have a standard deviation of .11 to .15, that of the mean is
    .006. And it hangs as little on the last bits of a map, which may choose another null. For scores that ask the
    network about every map it would be nine times the passes, with no such gain: there the network answers each.

    Examples
    --------
    >>> nulls = np.arange(9.0).reshape(1, 3, 3)
    >>> [int(each[0, 0, 0]) for each in shifted(nulls)]
    [0, 2, 1, 6, 8, 7, 3, 5, 4]
    """
    height, width = nulls.shape[1:]
    for down in range(SHIFTS):
        for right in range(SHIFTS):
            yield np.roll(nulls, (round(height * down / SHIFTS), round(width * right / SHIFTS)), axis=(1, 2))


def segment_null(
    maps: Float[np.ndarray, "n h w"],
    segments: Int[np.ndarray, "n h w"],
    *,
    seed: int,
    keys: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "n h w"]:
    """Return maps of the same segments with the segments' weights permuted.

    Segments follow the image's edges, and that alone must earn nothing. All permutations are equally likely,
    the one that changes nothing among them. The segments' weights are kept, not the pixels' histogram, since
    segments differ in area. An image of one segment comes back as it is.

    Parameters
    ----------
    maps
        Constant on each segment.
    segments
        Any integers; pixels of one label are one segment, connected or not.
    seed, keys
        As in `spectrum_null`.

    Raises
    ------
    ValueError
        If a map is not constant on a segment, or holds NaN.

    Examples
    --------
    >>> segments = np.array([[[0, 0, 1, 2]]])
    >>> null = segment_null(np.array([[[5.0, 5.0, 6.0, 7.0]]]), segments, seed=0)
    >>> bool(null[0, 0, 0] == null[0, 0, 1]), np.unique(null).tolist()
    (True, [5.0, 6.0, 7.0])
    """
    nulls = np.empty_like(maps)
    images = zip(maps, segments, keys_or_content(maps, keys), nulls, strict=True)
    for index, (values, labels, key, null) in enumerate(images):
        _, first, segment = np.unique(labels, return_index=True, return_inverse=True)
        weights = values.flat[first]
        if not (weights[segment.reshape(labels.shape)] == values).all():
            raise ValueError(f"map {index} is not constant on its segments; use the spectrum null for it")
        null[:] = generator(seed, Stream.SEGMENTS, key).permutation(weights)[segment.reshape(labels.shape)]
    return nulls


def transplant_pairs(
    predicted: Int[np.ndarray, " n"], *, seed: int, persons: Shaped[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, " n"]:
    """Return for each image another of the same predicted class, whose map is its null.

    Such a map keeps all that the explainer says about faces of the class in general and drops this image.
    Where a one-to-one draw exists, each image of the class is the donor of exactly one; where persons leave
    no such draw, donors are used in rounds, each once a round. Not a function of an image alone: the draw is
    joint.

    Parameters
    ----------
    predicted
        The network's class of each image.
    seed
        Not negative.
    persons
        Who is shown, where that is known. An image then gets another person's map if its class has one, and
        only otherwise another image of the same person.

    Returns
    -------
    Indices of donors, never the image itself; -1 where the class has no other image, so that there is no
    null.

    Raises
    ------
    ValueError
        If `persons` is not of `predicted`'s length.

    Examples
    --------
    >>> transplant_pairs(np.array([0, 1, 0, 2, 1]), seed=0)
    array([ 2,  4,  0, -1,  1])
    """
    donors = np.full(len(predicted), -1, dtype=np.int64)
    who = _persons_or_unknown(persons, len(predicted))
    for label in np.unique(predicted):
        members = np.flatnonzero(predicted == label)
        permitted = _other_person_first(~np.eye(len(members), dtype=bool), who[members])
        drawn = _balanced_draw(permitted, generator(seed, Stream.SAME_CLASS, label))
        donors[members] = np.where(drawn < 0, -1, members[drawn])
    return donors


def transplant_pairs_other_class(
    predicted: Int[np.ndarray, " n"], *, seed: int, persons: Shaped[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, " n"]:
    """Return for each image one of another predicted class, whose map is its null.

    The weaker of the two transplants: beating it may only mean knowing the class. Parameters, balance and
    what is raised are as in `transplant_pairs`; -1 where every image is of one class. Takes n * n numbers of
    memory.

    Examples
    --------
    >>> transplant_pairs_other_class(np.array([0, 1]), seed=0)
    array([1, 0])
    """
    other = predicted[:, None] != predicted[None, :]
    permitted = _other_person_first(other, _persons_or_unknown(persons, len(predicted)))
    return _balanced_draw(permitted, generator(seed, Stream.OTHER_CLASS))


def _require_finite(maps: Float[np.ndarray, "n h w"]) -> None:
    """Raise at the first map that has no spectrum."""
    broken = np.flatnonzero(~np.isfinite(maps).all(axis=(1, 2)))
    if broken.size:
        raise ValueError(f"map {broken[0]} holds NaN or infinity and has no spectrum; drop the map as undefined")


def _remembered_order(values: Float[np.ndarray, "h w"], seed: int, key: int, iterations: int) -> Int[np.ndarray, " hw"]:
    """Return where sorted values go, found once for several measurements that ask for the same null in turn."""
    question = digest(values, seed, key, iterations)
    if question not in _orders:
        noise = generator(seed, Stream.SPECTRUM, key).standard_normal(values.shape)
        _orders[question] = _matched_order(values, noise, iterations)
        while len(_orders) > 1 and sum(order.nbytes for order in _orders.values()) > KEPT_BYTES:
            _orders.popitem(last=False)
    _orders.move_to_end(question)
    return _orders[question]


def _matched_order(
    values: Float[np.ndarray, "h w"], noise: Float64[np.ndarray, "h w"], iterations: int
) -> Int[np.ndarray, " hw"]:
    """Return flat indices, lowest first, in which sorted values have about the map's amplitudes."""
    exact = np.ldexp(values.astype(np.float64), -np.frexp(np.abs(values).max())[1])  # below 1, whatever its unit
    # A power of two is the same for maps that differ in their last bits, and zero stays zero.
    read = np.rint(exact / 2.0 ** np.floor(np.log2(TEXTURE * exact.std())))
    ranked = np.sort(read, axis=None)
    spectrum = scipy.fft.rfft2(read)
    amplitudes = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    # The mean is kept with its sign: it is no texture and has no place.
    amplitudes[0, 0] = spectrum[0, 0].real
    field = _with_amplitudes(amplitudes, noise)
    for _ in range(iterations):
        placed = np.empty_like(field)
        placed.flat[np.argsort(field, axis=None)] = ranked
        reflected = _with_amplitudes(amplitudes, 2 * placed - field)
        field = RELAXATION * (field + reflected - placed) + (1 - RELAXATION) * placed
    return np.argsort(field, axis=None)


def _with_amplitudes(
    amplitudes: Float64[np.ndarray, "h half"], field: Float64[np.ndarray, "h w"]
) -> Float64[np.ndarray, "h w"]:
    """Return the field with these Fourier amplitudes and its own phases, zero for the mean."""
    spectrum = scipy.fft.rfft2(field)
    # Every processor rounds this alike, as it does not NumPy's absolute value of complex numbers.
    size = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    phases = np.divide(spectrum, size, out=np.ones_like(spectrum), where=size > 0)
    phases[0, 0] = 1
    return scipy.fft.irfft2(amplitudes * phases, s=field.shape)


def _amplitudes(maps: Float64[np.ndarray, "n h w"]) -> Float64[np.ndarray, "n h w"]:
    """Return Fourier amplitudes without that of the mean."""
    amplitudes = np.abs(scipy.fft.fft2(maps))
    amplitudes[:, 0, 0] = 0
    return amplitudes


def _persons_or_unknown(persons: Shaped[np.ndarray, " n"] | None, n: int) -> Shaped[np.ndarray, " n"]:
    """Return who is shown, everyone somebody else where that is not known."""
    if persons is None:
        return np.arange(n)
    if len(persons) != n:
        raise ValueError(f"{len(persons)} persons for {n} images; give one an image")
    return persons


def _other_person_first(
    permitted: Bool[np.ndarray, "n n"], persons: Shaped[np.ndarray, " n"]
) -> Bool[np.ndarray, "n n"]:
    """Leave each image only other persons as donors, where it has one."""
    strangers = permitted & (persons[:, None] != persons[None, :])
    return np.where(strangers.any(axis=1, keepdims=True), strangers, permitted)


def _balanced_draw(permitted: Bool[np.ndarray, "n n"], rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return a random permitted donor (column) for each row, distinct in each round, -1 where it has none."""
    donors = np.full(len(permitted), -1, dtype=np.int64)
    waiting = np.flatnonzero(permitted.any(axis=1))
    while waiting.size:
        # All random costs together stay below one forbidden pair's, so a round matches as many as can be.
        costs = rng.random((waiting.size, len(permitted)))
        costs[~permitted[waiting]] = len(permitted) + 1
        rows, columns = linear_sum_assignment(costs)
        matched = permitted[waiting[rows], columns]
        donors[waiting[rows[matched]]] = columns[matched]
        waiting = waiting[donors[waiting] < 0]
    return donors
