"""Cameras come, break, come back and go while the others run."""

from __future__ import annotations

import threading

import pytest

from ferstream.domain.event import CameraStatus, TrackChange
from ferstream.errors import ClosedError
from ferstream.pipeline.components import CameraCallbacks, Runner
from tests.support.builders import camera_state, frame
from tests.support.rig import Rig
from tests.support.runners import PATIENCE_S, Gate, Scripted, ScriptedLooker, ScriptedSink, ScriptedTracker
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


class TestEnds:
    """The end of a connection is the end of its tracks."""

    def test_the_end_of_a_recording_ends_its_tracks_once_each(self) -> None:
        rig = Rig(finders=[ScriptedLooker(faces=2)])
        rig.pipeline.start()
        rig.add("door", 10)
        rig.add("yard", 0)
        rig.finish()
        assert sorted(turn.track.id for turn in rig.sink.turns("door", TrackChange.LEFT)) == ["door-run-1", "door-run-2"]
        assert rig.sink.turns("yard", TrackChange.LEFT) == []
        assert rig.published("door") == 10  # what ended the tracks is no frame

    def test_a_broken_connection_ends_its_tracks_and_the_next_one_begins_anew(self) -> None:
        rig = Rig()

        def breaks(place: int, callbacks: CameraCallbacks) -> None:
            if place == 5:
                callbacks.on_state(camera_state(CameraStatus.RECONNECTING, reason="no answer"))
                callbacks.on_state(camera_state(CameraStatus.ONLINE))

        rig.pipeline.start()
        rig.add("door", 10, before_each=breaks)
        rig.finish()
        left = rig.sink.turns("door", TrackChange.LEFT)
        assert [turn.info.index for turn in left] == [4, 9]
        assert rig.sink.indices("door") == list(range(10))

    def test_an_overrun_lane_does_not_lose_the_end_of_a_connection(self) -> None:
        gate = Gate()
        rig = Rig(finders=[ScriptedLooker(gate=gate)])

        def breaks(place: int, callbacks: CameraCallbacks) -> None:
            if place == 1:
                assert gate.reached.wait(PATIENCE_S)
                callbacks.on_state(camera_state(CameraStatus.RECONNECTING, reason="no answer"))
                callbacks.on_state(camera_state(CameraStatus.ONLINE))

        rig.pipeline.start()
        camera = rig.add("door", 30, live=True, before_each=breaks, linger=True)
        assert camera.delivered.wait(PATIENCE_S)
        gate.open()
        wait_until(lambda: rig.counters.snapshot().in_flight("door") == 0)
        assert [turn.info.index for turn in rig.sink.turns("door", TrackChange.LEFT)] == [0]
        camera.stop()
        rig.finish()

    @pytest.mark.parametrize("status", [CameraStatus.CONNECTING, CameraStatus.ONLINE])
    def test_only_a_breakdown_is_an_end(self, status: CameraStatus) -> None:
        rig = Rig()
        rig.pipeline.start()
        rig.add("door", 4, before_each=lambda place, callbacks: callbacks.on_state(camera_state(status)))
        rig.finish()
        assert [turn.info.index for turn in rig.sink.turns("door", TrackChange.LEFT)] == [3]


class TestStates:
    """What a camera says of itself reaches the sinks and whoever asks."""

    def test_states_reach_the_sinks_in_order(self) -> None:
        rig = Rig()

        def stalls(place: int, callbacks: CameraCallbacks) -> None:
            if place == 2:
                callbacks.on_state(camera_state(CameraStatus.STALLED, reason="no frame for 5 s"))
                callbacks.on_state(camera_state(CameraStatus.ONLINE))

        rig.pipeline.start()
        rig.add("door", 4, before_each=stalls)
        rig.finish()
        assert [state.status.value for state in rig.sink.states("door")] == ["online", "stalled", "online", "offline"]
        assert rig.pipeline.cameras.states()["door"].reason == "ended"

    def test_a_last_state_after_the_end_still_reaches_the_sinks(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        outlets: list[CameraCallbacks] = []

        class Quiet:
            def start(self) -> None:
                """Nothing runs."""

            def stop(self) -> None:
                """Nothing runs."""

            def join(self, timeout_s: float) -> bool:
                return True

        def make(callbacks: CameraCallbacks) -> Runner:
            outlets.append(callbacks)
            return Quiet()

        rig.pipeline.cameras.add("door", live=False, make_runner=make)
        (callbacks,) = outlets
        callbacks.on_state(camera_state(CameraStatus.ONLINE))
        callbacks.on_end()
        callbacks.on_state(camera_state(CameraStatus.OFFLINE, reason="unplugged"))
        wait_until(lambda: [state.reason for state in rig.sink.states("door")] == ["", "unplugged"])
        with pytest.raises(ClosedError):
            callbacks.emit(frame())
        assert rig.pipeline.stop(timeout_s=PATIENCE_S) == []
        callbacks.on_state(camera_state(CameraStatus.ONLINE))  # nobody is left to tell, and that is no error

    def test_a_state_that_no_runner_tells(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        disabled = camera_state(CameraStatus.DISABLED, reason="switched off by a command")
        rig.pipeline.cameras.set_state(disabled)
        assert rig.pipeline.cameras.states() == {"door": disabled}
        assert rig.pipeline.cameras.names == ()
        wait_until(lambda: rig.sink.states("door") == [disabled])
        rig.finish()
        rig.pipeline.cameras.set_state(disabled)  # nobody is left to tell, and that is no error

    def test_states_pass_while_frames_are_held_up(self) -> None:
        gate = Gate()
        rig = Rig(finders=[ScriptedLooker(gate=gate)])
        rig.pipeline.start()
        rig.add("film", 50)
        assert gate.reached.wait(PATIENCE_S)
        rig.add("door", 0, linger=True)
        wait_until(lambda: bool(rig.sink.states("door")))
        gate.open()
        rig.cameras["door"].stop()
        rig.finish()


class TestComingAndGoing:
    """Adding and removing while everything runs."""

    def test_one_goes_without_disturbing_the_other(self) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(2)])
        go_on = threading.Event()

        def waits(place: int, callbacks: CameraCallbacks) -> None:
            if place == 20:
                assert go_on.wait(PATIENCE_S)

        rig.pipeline.start()
        rig.add("film", 40, before_each=waits)
        rig.add("door", 10, linger=True)
        wait_until(lambda: rig.published("door") == 10 and rig.published("film") == 20)
        assert rig.pipeline.cameras.remove("door", timeout_s=PATIENCE_S)
        assert not rig.cameras["door"].thread.is_alive()
        assert set(rig.pipeline.cameras.states()) == {"film"}
        assert rig.pipeline.cameras.names == ("film",)
        wait_until(lambda: len(rig.sink.turns("door", TrackChange.LEFT)) == 1)
        go_on.set()
        rig.finish()
        assert rig.sink.indices("film") == list(range(40))
        assert [turn.info.index for turn in rig.sink.turns("film", TrackChange.LEFT)] == [39]
        assert rig.dropped() == {}

    @pytest.mark.parametrize("workers", [1, 3])
    def test_one_that_comes_back_under_its_name_is_analysed_again(self, workers: int) -> None:
        rig = Rig(finders=[ScriptedLooker() for _ in range(workers)])
        rig.pipeline.start()
        for life in range(3):
            rig.add("door", rig.frames("door", 25, first=25 * life), linger=True)
            assert rig.cameras["door"].delivered.wait(PATIENCE_S)
            assert rig.pipeline.cameras.remove("door", timeout_s=PATIENCE_S)
        rig.finish()
        assert rig.sink.indices("door") == list(range(75))
        assert [turn.info.index for turn in rig.sink.turns("door", TrackChange.LEFT)] == [24, 49, 74]

    def test_what_it_had_delivered_is_still_analysed(self) -> None:
        gate = Gate()
        rig = Rig(finders=[ScriptedLooker(gate=gate)])
        rig.pipeline.start()
        rig.add("door", 5, linger=True)
        assert rig.cameras["door"].delivered.wait(PATIENCE_S)
        removing = Task(lambda: rig.pipeline.cameras.remove("door", timeout_s=PATIENCE_S))
        assert removing.alive
        gate.open()
        assert removing.result() is True
        rig.finish()
        assert rig.sink.indices("door") == list(range(5))

    def test_what_is_still_waiting_after_the_deadline_is_counted_and_the_name_is_free(self) -> None:
        gate = Gate()
        rig = Rig(finders=[ScriptedLooker(gate=gate)])
        rig.pipeline.start()
        rig.add("door", 5, linger=True)
        assert rig.cameras["door"].delivered.wait(PATIENCE_S)
        assert gate.reached.wait(PATIENCE_S)
        assert rig.pipeline.cameras.remove("door", timeout_s=0.01) is False
        assert rig.dropped() == {("door", "detection", "shutdown"): 4}
        rig.add("door", rig.frames("door", 3, first=10))
        gate.open()
        rig.finish()
        assert rig.sink.indices("door") == [0, 10, 11, 12]

    def test_a_thread_left_behind_does_not_speak_for_the_new_life(self) -> None:
        gate, made = Gate(), list[str]()

        def new_tracker(camera: str) -> ScriptedTracker:
            made.append(camera)
            return ScriptedTracker(camera)

        rig = Rig(new_tracker=new_tracker)
        rig.pipeline.start()
        old = rig.add("door", 5, before_each=lambda place, callbacks: gate() if place == 2 else None)
        assert gate.reached.wait(PATIENCE_S)
        assert rig.pipeline.cameras.remove("door", timeout_s=0.01) is False
        new = rig.add("door", rig.frames("door", 3, first=10), linger=True)
        assert new.delivered.wait(PATIENCE_S)
        gate.open()
        assert old.join(PATIENCE_S)
        assert rig.pipeline.cameras.states()["door"].status is CameraStatus.ONLINE
        wait_until(lambda: rig.published("door") == 5)
        assert [turn.info.index for turn in rig.sink.turns("door", TrackChange.LEFT)] == [1]
        assert made == ["door", "door"]
        new.stop()
        rig.finish()
        assert rig.dropped() == {("door", "capture", "shutdown"): 1}  # what the old thread brought too late
        assert [state.status.value for state in rig.sink.states("door")] == ["online", "online", "offline"]

    def test_a_thread_left_behind_does_not_speak_for_a_camera_that_is_gone(self) -> None:
        gate, rig = Gate(), Rig()
        rig.pipeline.start()
        old = rig.add("door", 5, before_each=lambda place, callbacks: gate() if place == 2 else None)
        assert gate.reached.wait(PATIENCE_S)
        assert rig.pipeline.cameras.remove("door", timeout_s=0.01) is False
        disabled = camera_state(CameraStatus.DISABLED, reason="switched off by a command")
        rig.pipeline.cameras.set_state(disabled)
        gate.open()
        assert old.join(PATIENCE_S)
        assert rig.pipeline.cameras.states() == {"door": disabled}
        rig.finish()
        assert rig.sink.states("door")[-1] == disabled

    def test_a_name_in_use_is_refused(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        rig.add("door", 0, linger=True)
        with pytest.raises(ValueError, match="'door'"):
            rig.add("door", 0)
        rig.cameras["door"].stop()
        rig.finish()

    def test_a_camera_that_cannot_be_made_leaves_nothing_behind(self) -> None:
        rig = Rig()
        rig.pipeline.start()

        def fails(callbacks: CameraCallbacks) -> Runner:
            raise Scripted("no such source")

        with pytest.raises(Scripted):
            rig.pipeline.cameras.add("door", live=True, make_runner=fails)
        rig.add("door", 3)
        rig.finish()
        assert rig.published("door") == 3

    def test_a_sealed_pipeline_takes_no_more_and_ends_with_its_cameras(self) -> None:
        rig = Rig()
        rig.pipeline.start()
        camera = rig.add("door", 3, linger=True)
        rig.pipeline.seal()
        with pytest.raises(ClosedError):
            rig.add("yard", 1)
        rig.names.discard("yard")
        ending = Task(lambda: rig.pipeline.join(PATIENCE_S))
        wait_until(lambda: rig.published("door") == 3)
        assert ending.alive
        camera.stop()
        assert ending.result()
        rig.check_ended()

    def test_cameras_added_before_the_start(self) -> None:
        rig = Rig()
        rig.add("door", 30)
        rig.pipeline.start()
        rig.finish()
        assert rig.published("door") == 30


def test_summaries_of_an_idle_camera_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferstream.runtime.stage.IDLE_S", 0.001)
    rig = Rig(sink=ScriptedSink(), summary_interval_s=10)
    rig.pipeline.start()
    rig.add("door", 3, linger=True)
    wait_until(lambda: rig.published("door") == 3)
    rig.clock.advance(10)
    wait_until(lambda: len(rig.sink.summaries("door")) == 1)
    assert sum(rig.sink.summaries("door")[0].counts.values()) == 3
    rig.cameras["door"].stop()
    rig.finish()
