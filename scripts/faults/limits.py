"""Small limits on memory, open files and threads, and unusual environments."""
from . import recipes
from .harness import FAILED, FINISHED, OK, USER_ERROR, fault, faults, require
from .run_folder import checkpoints

KIND = "limits"
EITHER = {FAILED, USER_ERROR}
MEMORY = r"memory"
FILES = r"too many open files|open files"
THREADS = r"thread|resource|process"


@faults(KIND, "{} MB of address space for a training", {str(size): size for size in (40, 60, 80, 120, 160, 200, 400)})
def memory_of_training(context, megabytes):
    ended = context.limited(f"-v {megabytes << 10}", "train", "--run", context.work / "run", *recipes.options(FINISHED))
    ended.succeeds_or_fails(EITHER, MEMORY + "|" + THREADS)
    if ended.status == OK:
        context.complete(context.work / "run")


@fault(KIND, "a batch that does not fit into memory during a training")
def memory_of_large_batch(context):
    settings = {**recipes.SYNTHETIC, "evaluation.protocol": "published", "data.images_per_class": 300, "batch.classes": 8, "batch.images_per_class": 256, "data.image_size": 64, "data.resize": 72}
    context.limited("-v 1000000", "train", "--run", context.work / "run", *recipes.options(settings)).fails(EITHER, MEMORY)


@faults(KIND, "200 MB of address space for {}", {
    "evaluate": lambda context: ["evaluate", context.fixture("finished")],
    "resume": lambda context: ["train", "--resume", "--run", context.copy("finished"), "--set", "training.epochs=9"],
    "bench loss": lambda context: ["bench", "loss", "--batch", "8192"],
    "bench step": lambda context: ["bench", "step", "--batch", "64", "--repeats", "1"],
    "data check": lambda context: ["data", "check", "--dataset", "folder", "--root", context.fixtures.images],
})  # fmt: skip
def memory_of_commands(context, arguments):
    context.limited("-v 200000", *arguments(context)).succeeds_or_fails(EITHER, MEMORY + "|" + THREADS)


@faults(KIND, "{} open files for a training on a folder", {str(count): count for count in (4, 6, 8, 16)})
def files_of_training(context, count):
    settings = {**recipes.folder(context.fixtures.images), "training.epochs": 4}
    ended = context.limited(f"-n {count}", "train", "--run", context.work / "run", *recipes.options(settings))
    ended.succeeds_or_fails(EITHER, FILES)
    if ended.status == OK:
        context.complete(context.work / "run")


@faults(KIND, "{} open files for a resume", {str(count): count for count in (4, 6, 8)})
def files_of_resume(context, count):
    run = context.copy("finished")
    ended = context.limited(f"-n {count}", "train", "--resume", "--run", run, "--set", "training.epochs=9")
    ended.succeeds_or_fails(EITHER, FILES)
    if ended.status != OK:
        require(checkpoints(run), "the checkpoints are lost")
        context.resumes(run)


@faults(KIND, "at most {} processes and threads", {str(count): count for count in (1, 2, 3, 5, 8)})
def threads(context, count):
    context.become_user()
    arguments = ["train", "--run", context.work / "run", *recipes.options(FINISHED)]
    # The limit is set before the change of the user, where it has no effect yet.
    wrapper = ["bash", "-c", f'ulimit -u {count} || exit 99; exec "$@"', "bash"]
    context.loop(*arguments, wrapper=wrapper, environment={"RAYON_NUM_THREADS": "4"}).succeeds_or_fails(EITHER, THREADS)


@faults(KIND, "a stack of {} KB", {"1024": 1024})
def stack(context, kilobytes):
    context.limited(f"-s {kilobytes}", "train", "--run", context.work / "run", *recipes.options(FINISHED)).succeeds()


@faults(KIND, "the environment has {}", {
    "RAYON_NUM_THREADS=0": {"RAYON_NUM_THREADS": "0"},
    "RAYON_NUM_THREADS=many": {"RAYON_NUM_THREADS": "many"},
    "RAYON_NUM_THREADS=-1": {"RAYON_NUM_THREADS": "-1"},
    "RAYON_NUM_THREADS=64": {"RAYON_NUM_THREADS": "64"},
    "an invalid log filter": {"LOOP_DML_LOG": "=,[[]"},
    "TERM=dumb": {"TERM": "dumb"},
    "no home": {"HOME": ""},
    "a home that does not exist": {"HOME": "/does/not/exist"},
    "a temporary folder that does not exist": {"TMPDIR": "/does/not/exist"},
    "another language": {"LC_ALL": "tr_TR.UTF-8"},
})  # fmt: skip
def environment(context, variables):
    context.train(FINISHED, environment=variables).succeeds_or_fails({USER_ERROR}, "|".join(variables))


@fault(KIND, "the working folder was removed")
def working_folder_removed(context):
    folder = context.work / "gone"
    folder.mkdir()
    wrapper = ["bash", "-c", 'rmdir "$PWD"; exec "$@"', "bash"]
    arguments = ["train", "--run", context.work / "run", *recipes.options(FINISHED)]
    context.loop(*arguments, wrapper=wrapper, folder=folder).succeeds_or_fails(EITHER, "folder|directory")
