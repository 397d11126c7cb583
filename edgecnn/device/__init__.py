"""Running a bundle live: cameras, the loop, what it writes and what it shows. Nothing here knows TensorFlow.

::

    with (
        open_camera("0") as camera,
        Classifier(Bundle.read("shapes.tflite")) as classifier,
        VIEWS["terminal"]() as view,
        events_to("answers.jsonl") as on_answer,
    ):
        summary = run(camera, classifier, view=view, frames=100, on_answer=on_answer)
"""

from edgecnn.device.cameras import open_camera
from edgecnn.device.events import events_to
from edgecnn.device.frames import Answer, Camera, Frame
from edgecnn.device.loop import Summary, run
from edgecnn.device.steady import SMOOTHING_S
from edgecnn.device.views import VIEWS, Controls, Run, View

__all__ = [
    "SMOOTHING_S",
    "VIEWS",
    "Answer",
    "Camera",
    "Controls",
    "Frame",
    "Run",
    "Summary",
    "View",
    "events_to",
    "open_camera",
    "run",
]
