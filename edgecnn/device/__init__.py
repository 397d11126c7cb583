"""Running a bundle live: cameras, the loop, what it writes and what it shows. Nothing here knows TensorFlow.

::

    with (
        open_camera("0") as camera,
        Classifier(Bundle.read("shapes.tflite")) as classifier,
        open_view("terminal") as view,
        events_to("answers.jsonl") as write,
    ):
        summary = run(camera, classifier, view=view, frames=100, consumers=[write])
"""

from edgecnn.device.cameras import are_images, find_camera, open_camera
from edgecnn.device.collect import Collection, Unsure
from edgecnn.device.demo import Demo, play
from edgecnn.device.events import events_to
from edgecnn.device.frames import Answer, Camera, Frame
from edgecnn.device.loop import run
from edgecnn.device.options import CameraOptions, Region
from edgecnn.device.record import recording_to
from edgecnn.device.steady import SMOOTHING_S
from edgecnn.device.summary import Summary
from edgecnn.device.views import VIEWS, Controls, Run, View, open_view

__all__ = [
    "SMOOTHING_S",
    "VIEWS",
    "Answer",
    "Camera",
    "CameraOptions",
    "Collection",
    "Controls",
    "Demo",
    "Frame",
    "Region",
    "Run",
    "Summary",
    "Unsure",
    "View",
    "are_images",
    "events_to",
    "find_camera",
    "open_camera",
    "open_view",
    "play",
    "recording_to",
    "run",
]
