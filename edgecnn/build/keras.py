"""TensorFlow, set up once for the whole build: Keras 2 (tfmot knows no other), fixed threads, determinism, silence.

Everything under `edgecnn.build` that computes imports `tf`, `keras` and `tfmot` from here, inside functions that run,
so that reading a recipe or a finished build never loads TensorFlow.
"""

import os

from edgecnn.latency import available_cores
from edgecnn.silence import silenced

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with silenced():
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

__all__ = ["keras", "tf", "tfmot"]

tf.get_logger().setLevel("ERROR")
tf.config.threading.set_intra_op_parallelism_threads(available_cores())
tf.config.threading.set_inter_op_parallelism_threads(available_cores())
tf.config.experimental.enable_op_determinism()
