"""Variables, label selectors and expressions that the dashboards share."""

from __future__ import annotations

from panels import variable

JOB = variable("job", "label_values(ferstream_build_info, job)", label="Job")
NODE = variable("instance", 'label_values(ferstream_build_info{job="$job"}, instance)', label="Node")
CAMERA = variable("camera", 'label_values(ferstream_camera_up{job="$job", instance="$instance"}, camera)', label="Camera", multi=True)

ALL = '{job="$job"}'
ONE = '{job="$job", instance="$instance"}'
CAM = '{job="$job", instance="$instance", camera=~"$camera"}'
RATE = "[$__rate_interval]"


def within(selector: str, *more: str) -> str:
    """Return a selector with further conditions."""
    return selector[:-1] + "".join(f", {condition}" for condition in more) + "}"


def quantile(q: float, metric: str, selector: str, *by: str) -> str:
    """Return the expression of a quantile of a histogram, one series for each combination of the labels ``by``."""
    return f"histogram_quantile({q}, sum by ({', '.join((*by, 'le'))}) (rate({metric}_bucket{selector}{RATE})))"
