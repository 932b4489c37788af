"""The peer's side of peer_roboflow.py; runs in an environment that has roboflow's ``inference``.

Its InferencePipeline decodes and hands BGR frames to our function, which does what ferstream does
with the same two OpenVINO networks and the same decoding, alignment and classification code.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("DISABLE_VERSION_CHECK", "True")
os.environ.setdefault("TELEMETRY_OPT_OUT", "True")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from inference.core.interfaces.stream.inference_pipeline import InferencePipeline

from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.domain.frame import Luma, detection_size
from ferstream.inference.alignment import align_with_matrix
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle


def main() -> None:
    video, model = sys.argv[1], sys.argv[2]
    cv2.setNumThreads(1)
    detector = load_detector().new_detector(DetectorLimits(min_face_px=16))
    classifier = open_classifier(load_bundle(model), threads=1)
    classifier.warm_up()
    seen = {"frames": 0, "faces": 0}

    def look(frames: list) -> list:  # type: ignore[type-arg]
        results = []
        for frame in frames:
            picture = frame.image
            height, width = picture.shape[:2]
            small = cv2.resize(picture, detection_size(width, height, 640), interpolation=cv2.INTER_AREA)
            faces = detector.detect(small, width=width, height=height)
            grey = Luma(plane=cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), limited=False)
            crops = [align_with_matrix(grey, face.landmarks)[0] for face in faces]
            results.append(classifier.classify(np.stack(crops)) if crops else np.zeros((0, 7), np.float32))
            seen["frames"] += 1
            seen["faces"] += len(faces)
        return results

    detector.detect(np.zeros((384, 640, 3), np.uint8), width=640, height=384)
    pipeline = InferencePipeline.init_with_custom_logic(video_reference=video, on_video_frame=look, on_prediction=lambda *args: None)
    started, cpu = time.perf_counter(), time.process_time()
    pipeline.start(use_main_thread=False)
    pipeline.join()
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    frames = seen["frames"]
    print(json.dumps(seen | {"wall_s": wall_s, "cpu_s": cpu_s, "fps": frames / wall_s, "cpu_ms_per_frame": 1000 * cpu_s / frames}))


if __name__ == "__main__":
    main()
