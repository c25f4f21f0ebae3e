"""Files and folders that the user may not read or write. The program runs without root's rights."""
import os
import shutil
import subprocess

from . import recipes
from .harness import ENDLESS, FAILED, FINISHED, OK, USER_ERROR, Skipped, fault, faults
from .run_folder import CHECKPOINTS, CONFIG, LOCK, METRICS, RECORD, checkpoints

KIND = "permissions"
EITHER = {FAILED, USER_ERROR}
DENIED = r"permission|denied|read-only|not permitted"


def owned_copy(context, name="finished"):
    """A copy of a run that belongs to an unprivileged user, who runs the program."""
    run = context.copy(name)
    context.become_user()
    return run


@fault(KIND, "a new run in a folder that is read-only")
def parent_read_only(context):
    parent = context.work / "parent"
    parent.mkdir()
    context.become_user()
    parent.chmod(0o555)
    context.train(FINISHED, parent / "run").fails(EITHER, rf"parent.*({DENIED})")


@fault(KIND, "a new run without --run in a folder that is read-only")
def working_folder_read_only(context):
    folder = context.work / "folder"
    folder.mkdir()
    context.become_user()
    folder.chmod(0o555)
    context.loop("train", *recipes.options(FINISHED), folder=folder).fails(EITHER, rf"artifacts.*({DENIED})")


@faults(KIND, "{} becomes read-only during a training", {"the run folder": (".", CHECKPOINTS), "the folder of the checkpoints": (CHECKPOINTS,)})
def becomes_read_only(context, folders):
    context.become_user()
    training = context.start_training(ENDLESS).wait_epochs(12)
    run = training.run
    for folder in folders:
        (run / folder).chmod(0o555)
    training.wait().fails(FAILED, DENIED)
    for folder in folders:
        (run / folder).chmod(0o755)
    context.evaluates(run, "--checkpoint", "last")
    context.continues(run)


@faults(KIND, "{} is read-only before a resume", {"the run folder": ".", "the folder of the checkpoints": CHECKPOINTS, METRICS: METRICS})
def read_only_before_resume(context, name):
    run = owned_copy(context)
    path = run / name
    path.chmod(0o555 if path.is_dir() else 0o444)
    ended = context.resume(run, epochs=9)
    # A file that is replaced as a whole need not be writable.
    if name != METRICS or ended.status != OK:
        ended.fails(EITHER, DENIED)
    path.chmod(0o755 if path.is_dir() else 0o644)
    if ended.status != OK:
        context.resumes(run)


@faults(KIND, "{} is unreadable before a resume", {name: name for name in (CONFIG, RECORD, METRICS)})
def unreadable_before_resume(context, name):
    run = owned_copy(context)
    (run / name).chmod(0)
    context.resume(run, epochs=9).fails(EITHER, rf"{name}.*({DENIED})")
    (run / name).chmod(0o644)
    context.resumes(run)


@fault(KIND, "the newest checkpoint is unreadable before a resume")
def newest_unreadable(context):
    run = owned_copy(context)
    newest = checkpoints(run)[-1]
    newest.chmod(0)
    ended = context.resume(run, epochs=9)
    if ended.status == OK:
        ended.says(newest.name)
    else:
        ended.fails(EITHER, newest.name)
        newest.chmod(0o644)
        context.resumes(run)


@fault(KIND, "all checkpoints are unreadable before a resume")
def all_unreadable(context):
    run = owned_copy(context)
    for path in checkpoints(run):
        path.chmod(0)
    context.resume(run, epochs=9).fails(EITHER, "checkpoint|epoch-")
    for path in checkpoints(run):
        path.chmod(0o644)
    context.resumes(run)


@fault(KIND, "the run folder cannot be entered")
def run_not_searchable(context):
    run = owned_copy(context)
    run.chmod(0)
    context.resume(run, epochs=9).fails(EITHER, "run")
    context.loop("evaluate", run).fails(EITHER, "run")


@fault(KIND, "the lock file is another user's")
def lock_of_another_user(context):
    run = owned_copy(context)
    (run / LOCK).chmod(0)
    context.resume(run, epochs=9).succeeds_or_fails(EITHER, "lock")


@fault(KIND, "evaluate and export of a run that is read-only")
def read_only_run(context):
    run = owned_copy(context)
    subprocess.run(["chmod", "-R", "a-w", run], check=True)
    context.evaluates(run)
    context.loop("export", run, "--output", context.work / "out.safetensors").succeeds()


UNREADABLE = {
    "the configuration": lambda path: ["train", "--config", path],
    "a weights file": lambda path: ["train", *recipes.options(FINISHED), "--set", f"model.weights={path}"],
    "an embedding file": lambda path: ["evaluate", "--embeddings", path],
    "the embeddings of a loss": lambda path: ["loss", "--embeddings", path, "--loss", "triplet", "--negatives", "none"],
    "an exported embedder": lambda path: ["embed", path, "--images", path.parent, "--output", path.parent / "o.npy"],
    "an image to embed": lambda path: ["embed", "--images", path, "--output", path.parent / "o.npy"],
}


@faults(KIND, "{} is unreadable", UNREADABLE)
def unreadable_input(context, arguments):
    path = context.work / "secret.safetensors"
    shutil.copyfile(context.fixture("embedder.safetensors"), path)
    command = arguments(path)
    if "--images" in command and len([part for part in command if part == path]) == 1 and command[1] == "--images":
        command.insert(1, context.fixture("embedder.safetensors"))
    context.become_user()
    path.chmod(0)
    context.loop(*command).fails(EITHER, rf"secret\.safetensors.*({DENIED})")


def images(context):
    """A copy of the images that belongs to an unprivileged user."""
    root = context.copy("images", "images")
    context.become_user()
    return root


@faults(KIND, "{} is unreadable before a training", {"the folder of the images": ".", "the folder of a class": "class-00", "an image": "class-00/0.png"})
def unreadable_images(context, name):
    root = images(context)
    path = root / name
    path.chmod(0)
    context.train({**recipes.folder(root), "training.epochs": 20}).fails(EITHER, rf"{'images' if name == '.' else name}.*({DENIED})")


@fault(KIND, "an image is unreadable and skipped")
def unreadable_image_skipped(context):
    root = images(context)
    (root / "class-00" / "0.png").chmod(0)
    settings = {**recipes.folder(root), "training.epochs": 4, "data.broken_images": "skip"}
    context.train(settings).succeeds(r"skip|broken")


@faults(KIND, "the output folder of {} is read-only", {"export": "export", "embed": "embed"})
def output_read_only(context, command):
    output = context.work / "output"
    output.mkdir()
    context.become_user()
    output.chmod(0o555)
    arguments = [context.fixture("finished"), "--output", output / "o.safetensors"]
    arguments += ["--images", context.fixtures.images] if command == "embed" else []
    context.loop(command, *arguments).fails(EITHER, rf"output.*({DENIED})")


@fault(KIND, "the home folder is read-only")
def home_read_only(context):
    context.become_user()
    context.home.chmod(0o555)
    context.train(FINISHED).succeeds()


@fault(KIND, "the folder of the image cache is read-only")
def cache_read_only(context):
    cache = context.work / "cache"
    cache.mkdir()
    context.become_user()
    cache.chmod(0o555)
    settings = {**recipes.folder(context.fixtures.images), "training.epochs": 2, "data.cache": "true", "data.cache_dir": cache}
    context.train(settings).succeeds_or_fails(EITHER, rf"cache.*({DENIED})")


def set_immutable(path, on):
    """Sets or clears the attribute that forbids even root to change a file."""
    return subprocess.run(["chattr", "+i" if on else "-i", path], capture_output=True, check=False).returncode == 0


@faults(KIND, "{} becomes immutable during a training", {METRICS: METRICS, "the folder of the checkpoints": CHECKPOINTS})
def immutable(context, name):
    if os.geteuid() != 0:
        raise Skipped("chattr needs root")
    training = context.start_training(ENDLESS).wait_epochs(7)
    path = training.run / name
    if not set_immutable(path, True):
        training.kill()
        raise Skipped("the file system has no immutable files")
    try:
        training.wait().fails(FAILED, DENIED)
    finally:
        set_immutable(path, False)
    context.continues(training.run)
