"""Nothing that was committed is lost when napari is killed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from infosam import Project
from tests.integration.conftest import open_window
from tests.integration.five_commits import BOXES

SCRIPT = Path(__file__).with_name("five_commits.py")


@pytest.mark.usefixtures("qapp")
def test_a_killed_napari_loses_no_committed_object(data_folder: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.five_commits"]
    with subprocess.Popen(
        command,
        cwd=SCRIPT.parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed 5\n"
        process.kill()

    with Project.open(data_folder / "autosave") as project:
        records = project.objects()
        boxes = [record.prompt.box for record in records if record.prompt is not None]
        assert np.allclose(boxes, [(*start, *end) for start, end in BOXES], atol=1.5)
        labels = project.label_image(records[0].image_id)

    window = open_window(skimage.data.coins(), name="coins")
    try:
        window.wait(lambda: len(window.session.objects) == 5, "the five objects")
        assert (window.labels == labels).all()
    finally:
        window.viewer.close()
