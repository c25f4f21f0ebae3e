"""Several processes on one run, and run folders that change while they are trained."""
import shutil
import signal

from .harness import ENDLESS, FAILED, FINISHED, OK, USER_ERROR, epochs, fault, faults, require
from .recipes import options
from .run_folder import CHECKPOINTS, CONFIG, LOCK, METRICS, RECORD, checkpoints

KIND = "concurrency"
IN_USE = r"in use by another process"


@fault(KIND, "two resumes at once")
def two_resumes(context):
    run = context.copy("finished")
    first = context.start_resume(run, "--set", "training.epochs=9")
    second = context.start_resume(run, "--set", "training.epochs=9")
    ended = [first.wait(), second.wait()]
    if sorted(one.status for one in ended) == [OK, OK]:
        # The second one began after the first one ended.
        require(any("finished" in one.errors for one in ended), "both processes trained the run")
    else:
        require(OK in (one.status for one in ended), f"neither resumed: {ended[0].tail()}")
        next(one for one in ended if one.status != OK).fails(USER_ERROR, IN_USE)
    context.same_history(run, "extended")
    context.complete(run)


@fault(KIND, "a resume of a run that is being trained")
def resume_while_training(context):
    training = context.start_training().wait_epochs(3)
    context.resume(training.run, epochs=100001).fails(USER_ERROR, IN_USE)
    require(training.process.poll() is None, "the training ended")
    training.send(signal.SIGTERM).wait().interrupted()
    context.continues(training.run)


@fault(KIND, "a resume of a run whose process is stopped")
def resume_while_stopped(context):
    training = context.start_training().wait_epochs(3)
    training.send(signal.SIGSTOP)
    context.resume(training.run, epochs=100001).fails(USER_ERROR, IN_USE)
    training.send(signal.SIGCONT).wait_epochs(epochs(training.run) + 2)
    training.send(signal.SIGTERM).wait().interrupted()
    context.continues(training.run)


@fault(KIND, "a new run in the folder of a run that is being trained")
def create_while_training(context):
    training = context.start_training().wait_epochs(3)
    context.train(FINISHED).fails(USER_ERROR, rf"already exists|{IN_USE}")
    training.send(signal.SIGTERM).wait().interrupted()
    context.continues(training.run)


@faults(KIND, "{} new runs at once in one folder", {"two": 2, "four": 4})
def creates_in_one_folder(context, count):
    started = [context.start_training(FINISHED) for _ in range(count)]
    ended = [one.wait() for one in started]
    statuses = sorted(one.status for one in ended)
    require(statuses == [OK] + [USER_ERROR] * (count - 1), f"statuses {statuses}: {ended[-1].tail()}")
    for one in ended:
        if one.status != OK:
            one.fails(USER_ERROR, rf"already exists|{IN_USE}")
    context.same_history(context.work / "run", "finished")
    context.complete(context.work / "run")


@faults(KIND, "{} new runs at once without --run", {"two": 2, "four": 4})
def creates_without_folder(context, count):
    started = [context.start("train", *options(FINISHED)) for _ in range(count)]
    for one in started:
        one.wait().succeeds()
    runs = sorted((context.work / "artifacts").iterdir())
    require(len(runs) == count, f"{len(runs)} run folders: {[run.name for run in runs]}")
    for run in runs:
        context.same_history(run, "finished")
        context.complete(run)


@faults(KIND, "{} while the run is trained", {"evaluate": "evaluate", "export": "export", "embed": "embed"})
def read_while_training(context, command):
    training = context.start_training().wait_epochs(6)
    arguments = {
        "evaluate": ["--json"],
        "export": ["--output", context.work / "out.safetensors"],
        "embed": ["--images", context.fixtures.images, "--output", context.work / "out.safetensors"],
    }[command]
    context.loop(command, training.run, *arguments).succeeds()
    require(training.process.poll() is None, f"the training ended: {training.text()[-300:]}")
    training.send(signal.SIGTERM).wait().interrupted()


@fault(KIND, "evaluate many times while checkpoints are removed")
def evaluate_while_pruning(context):
    training = context.start_training({**ENDLESS, "training.validate_every": 1}).wait_epochs(3)
    for _ in range(5):
        context.loop("evaluate", training.run, "--checkpoint", "last", "--json").succeeds()
    training.send(signal.SIGTERM).wait().interrupted()


@fault(KIND, "a resume after SIGKILL: the lock is free")
def lock_after_kill(context):
    training = context.start_training().wait_epochs(6).kill()
    context.continues(training.run)


REMOVALS = {
    "the run folder": ".",
    METRICS: METRICS,
}


@faults(KIND, "{} is removed during a training", REMOVALS)
def removed(context, name):
    training = context.start_training().wait_epochs(6)
    path = training.run / name
    # The program may write while the folder is being removed.
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    training.wait().fails(FAILED, r"run")


@fault(KIND, "the folder of the checkpoints is removed during a training")
def checkpoint_folder_removed(context):
    training = context.start_training().wait_until(lambda: checkpoints(context.work / "run"), "a checkpoint")
    # The program may write while the folder is being removed.
    shutil.rmtree(training.run / CHECKPOINTS, ignore_errors=True)
    shutil.rmtree(training.run / CHECKPOINTS, ignore_errors=True)
    # The next checkpoint is written into a new folder.
    training.send(signal.SIGTERM).wait().interrupted()
    context.continues(training.run, reference=None)


@faults(KIND, "{} is removed during a training that must end in order", {CONFIG: CONFIG, RECORD: RECORD, LOCK: LOCK})
def small_file_removed(context, name):
    training = context.start_training().wait_epochs(6)
    (training.run / name).unlink()
    if training.process.poll() is None:
        training.send(signal.SIGTERM)
    ended = training.wait()
    if ended.status == FAILED:
        ended.fails(FAILED, name)
    else:
        ended.interrupted(resumable=False)


@fault(KIND, "the run folder is renamed during a training")
def renamed(context):
    training = context.start_training().wait_epochs(6)
    moved = training.run.rename(context.work / "moved")
    training.wait().fails(FAILED, r"run")
    require(not training.run.exists() or not list(training.run.iterdir()), "files were written to the old place")
    context.continues(moved)


@fault(KIND, "the run folder is replaced by another run during a training")
def replaced(context):
    training = context.start_training().wait_epochs(6)
    training.run.rename(context.work / "moved")
    run = context.copy("finished")
    with context.unchanged(run):
        training.wait().fails(FAILED, r"run")
    context.continues(context.work / "moved")


@fault(KIND, "the run folder is replaced by a file during a training")
def replaced_by_file(context):
    training = context.start_training().wait_epochs(6)
    training.run.rename(context.work / "moved")
    training.run.write_text("a file\n")
    training.wait().fails(FAILED, r"run")
    require(training.run.read_text() == "a file\n", "the file was changed")


@fault(KIND, "the newest checkpoint is removed during a training")
def checkpoint_removed(context):
    training = context.start_training().wait_until(lambda: checkpoints(context.work / "run"), "a checkpoint")
    for path in checkpoints(training.run):
        path.unlink(missing_ok=True)
    training.wait_epochs(epochs(training.run) + 12)
    training.send(signal.SIGTERM).wait().interrupted()
    context.continues(training.run)


@faults(KIND, "two processes {} to one file", {"export": "export", "embed": "embed"})
def two_outputs(context, command):
    output = context.work / "out.safetensors"
    arguments = [command, context.fixture("finished"), "--output", output]
    arguments += ["--images", context.fixtures.images] if command == "embed" else []
    ended = [one.wait() for one in [context.start(*arguments), context.start(*arguments)]]
    require(OK in (one.status for one in ended), f"neither wrote the file: {ended[0].tail()}")
    for one in ended:
        one.succeeds_or_fails({FAILED, USER_ERROR}, r"out\.(safetensors|json).*exist")
    left = [path.name for path in context.work.iterdir() if path.name.startswith(".")]
    require(not left, f"left over: {left}")
