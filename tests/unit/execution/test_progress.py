"""What is told of a running job: its program's own words at once, and the predicted time while that is silent."""

import datetime as dt
import multiprocessing

from services.execution import compute, task
from services.execution.progress import EVERY, MOST, Progress

START = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def running(predicted: float) -> Progress:
    progress = Progress()
    progress.hear(0.0, "", START)
    progress.expect(predicted, START)
    assert progress.news(START) == (0.0, "")
    return progress


def test_what_the_program_tells_is_told_once_and_at_once():
    progress = running(100.0)
    progress.hear(0.1, "running", at(0.1))
    assert progress.news(at(0.2)) == (0.1, "running")
    assert progress.news(at(0.3)) is None


def test_a_silent_program_is_told_of_by_its_predicted_time():
    progress = running(100.0)
    progress.hear(0.1, "running", START)
    progress.news(START)
    assert progress.news(START + EVERY / 2) is None
    fraction, message = progress.news(at(45.0)) or (0.0, "")
    assert abs(fraction - 0.55) < 1e-9, "half of what was left"
    assert message == "running; for 45 s now, of about 100 s predicted"
    assert progress.news(at(46.0)) is None


def test_a_run_longer_than_predicted_never_looks_finished_and_says_so():
    fraction, message = running(2.0).news(at(600.0)) or (0.0, "")
    assert fraction == MOST
    assert message == "running; for 10 min now, of about 2 s predicted"


def test_progress_does_not_go_back_in_a_run_and_begins_anew_with_the_next():
    progress = running(10.0)
    assert progress.news(at(5.0)) == (0.5, "running; for 5 s now, of about 10 s predicted")
    progress.hear(0.2, "optimising", at(6.0))
    assert progress.news(at(6.0)) == (0.5, "optimising")
    progress.expect(10.0, at(7.0))
    progress.hear(0.0, "parsing", at(7.0))
    assert progress.news(at(7.0)) == (0.0, "parsing")


def test_nothing_is_made_up_where_nothing_was_predicted():
    assert running(0.0).news(at(60.0)) is None


def test_a_child_tells_its_first_stages_at_once_and_then_now_and_again():
    ours, theirs = multiprocessing.Pipe()
    tell = compute._progress(theirs)
    tell(0.0, "building")
    tell(0.1, "running")
    tell(0.2, "step 1")
    tell(0.3, "step 2")
    tell(1.0, "done")
    theirs.close()
    told = []
    while ours.poll():
        try:
            told.append(task.decode(ours.recv_bytes()))
        except EOFError:
            break
    assert [each.message for each in told if isinstance(each, task.Progress)] == ["building", "running", "step 1"]
