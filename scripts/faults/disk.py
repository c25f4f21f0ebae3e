"""Full and read-only disks, and limits on the size of files."""
import subprocess

from . import recipes
from .harness import ENDLESS, FAILED, FINISHED, OK, USER_ERROR, Skipped, epochs, fault, faults, require
from .run_folder import checkpoints

KIND = "disk"
FULL = r"space|full|disk|quota"
TOO_LARGE = r"too large|space|full|limit|file size|cannot write"
READ_ONLY = r"read-only|permission|cannot write"


def finite_and_evaluable(context, run):
    """Checks that the last good checkpoint, if there is one, can be evaluated."""
    if checkpoints(run):
        context.evaluates(run, "--checkpoint", "last")


@faults(KIND, "a new run on {}", {"64 KB": "size=64k", "2 MB": "size=2m", "8 MB": "size=8m", "16 inodes": "size=64m,nr_inodes=8"})
def small_disk(context, size):
    disk = context.tmpfs(size)
    settings = {**ENDLESS, "training.epochs": 60, "training.validate_every": 2}
    ended = context.train(settings, disk / "run").succeeds_or_fails({FAILED, USER_ERROR}, FULL)
    if ended.status == OK:
        context.complete(disk / "run")
    elif (disk / "run").exists():
        finite_and_evaluable(context, disk / "run")


@fault(KIND, "a checkpoint does not fit on 8 MB")
def large_checkpoint(context):
    disk = context.tmpfs("size=8m")
    settings = {**FINISHED, "model.embedding_dim": 4096}
    context.train(settings, disk / "run").fails({FAILED, USER_ERROR}, FULL)


def fill(disk):
    """Fills a disk to its last byte."""
    with open(disk / "filler", "wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass


def full_during_training(context):
    """Starts a training on a disk that becomes full. Returns the disk after the training has ended."""
    disk = context.tmpfs("size=24m")
    training = context.start_training(ENDLESS, disk / "run").wait_epochs(12)
    fill(disk)
    training.wait().fails(FAILED, FULL)
    return disk


@fault(KIND, "the disk becomes full during a training")
def becomes_full(context):
    disk = full_during_training(context)
    finite_and_evaluable(context, disk / "run")


@fault(KIND, "the disk becomes full during a training, has space again, and the run is resumed")
def full_then_free(context):
    disk = full_during_training(context)
    (disk / "filler").unlink()
    context.continues(disk / "run")


@fault(KIND, "a resume on a full disk")
def resume_on_full(context):
    disk = context.tmpfs("size=24m")
    context.copy("finished", disk / "run")
    fill(disk)
    ended = context.resume(disk / "run", epochs=9).fails({FAILED, USER_ERROR}, FULL)
    (disk / "filler").unlink()
    context.resumes(disk / "run")
    return ended


WRITERS = {
    "export": lambda context, output: ["export", context.fixture("finished"), "--output", output / "out.safetensors"],
    "embed": lambda context, output: ["embed", context.fixture("embedder.safetensors"), "--images", context.fixtures.images, "--output", output / "out.safetensors"],
    "embed to .npy": lambda context, output: ["embed", context.fixture("embedder.safetensors"), "--images", context.fixtures.images, "--output", output / "out.npy"],
    "loss --gradients": lambda context, output: [
        "loss", "--embeddings", context.fixture("embeddings.safetensors"), "--loss", "triplet", "--negatives", "none", "--gradients", output / "out.safetensors"
    ],
    "data stats --sheet": lambda context, output: [
        "data", "stats", "--dataset", "folder", "--root", context.fixtures.images, "--sheet", output / "out.png"
    ],
}  # fmt: skip


@faults(KIND, "{} to a full disk", WRITERS)
def output_to_full(context, arguments):
    disk = context.tmpfs("size=4m")
    fill(disk)
    context.loop(*arguments(context, disk)).fails(FAILED, FULL)
    left = [path.name for path in disk.iterdir() if path.name != "filler" and path.stat().st_size]
    require(not left, f"left over: {left}")


@faults(KIND, "{} to a read-only disk", WRITERS)
def output_to_read_only(context, arguments):
    disk = context.tmpfs("size=4m")
    context.remount(disk, "ro")
    context.loop(*arguments(context, disk)).fails({FAILED, USER_ERROR}, READ_ONLY)


@fault(KIND, "the image cache is on a full disk")
def cache_on_full(context):
    disk = context.tmpfs("size=64k")
    fill(disk)
    settings = {**recipes.folder(context.fixtures.images), "data.cache": "true", "data.cache_dir": disk, "training.epochs": 2}
    context.train(settings).succeeds_or_fails({FAILED, USER_ERROR}, FULL)


@fault(KIND, "a new run on a read-only disk")
def new_on_read_only(context):
    disk = context.tmpfs("size=4m")
    context.remount(disk, "ro")
    context.train(FINISHED, disk / "run").fails({FAILED, USER_ERROR}, READ_ONLY)


@fault(KIND, "a resume on a read-only disk")
def resume_on_read_only(context):
    disk = context.tmpfs("size=24m")
    run = context.copy("finished", disk / "run")
    context.remount(disk, "ro")
    context.refuses_to_resume(run, READ_ONLY, statuses={FAILED, USER_ERROR})


@fault(KIND, "evaluate and export of a run on a read-only disk")
def read_on_read_only(context):
    disk = context.tmpfs("size=24m")
    run = context.copy("finished", disk / "run")
    context.remount(disk, "ro")
    context.evaluates(run, like=context.evaluates(context.fixture("finished")))
    context.loop("export", run, "--output", context.work / "out.safetensors").succeeds()


@fault(KIND, "the disk becomes read-only during a training")
def becomes_read_only(context):
    disk = context.tmpfs("size=24m")
    training = context.start_training(ENDLESS, disk / "run").wait_epochs(7)
    for _ in range(200):
        if subprocess.run(["mount", "-o", "remount,ro", disk], check=False, capture_output=True).returncode == 0:
            break
    else:
        training.kill()
        raise Skipped("the system keeps a disk writable while files are open for writing")
    training.wait().fails(FAILED, READ_ONLY)
    context.remount(disk, "rw")
    context.continues(disk / "run")


@fault(KIND, "the disk is removed during a training")
def unmounted(context):
    disk = context.tmpfs("size=24m")
    training = context.start_training(ENDLESS, disk / "run").wait_epochs(7)
    subprocess.run(["umount", "-l", disk], check=True)
    training.wait().fails(FAILED, r"run")


@faults(KIND, "files of at most {} for a new run", {"1 KB": 1, "100 KB": 100, "700 KB": 700})
def file_size_limit(context, kilobytes):
    ended = context.limited(f"-f {kilobytes}", "train", "--run", context.work / "run", *recipes.options(FINISHED))
    ended.fails({FAILED, USER_ERROR}, TOO_LARGE)


@fault(KIND, "files of at most 100 KB for a resume")
def file_size_limit_resume(context):
    run = context.copy("finished")
    context.limited("-f 100", "train", "--resume", "--run", run, "--set", "training.epochs=9").fails({FAILED, USER_ERROR}, TOO_LARGE)
    context.resumes(run)


@faults(KIND, "files of at most 4 KB for {}", {name: WRITERS[name] for name in ("export", "embed", "loss --gradients")})
def file_size_limit_output(context, arguments):
    output = context.work / "output"
    output.mkdir()
    context.limited("-f 4", *arguments(context, output)).fails({FAILED, USER_ERROR}, TOO_LARGE)
    require(not list(output.iterdir()), f"left over: {[path.name for path in output.iterdir()]}")


@fault(KIND, "an epoch record does not fit, although checkpoints do")
def metrics_do_not_fit(context):
    disk = context.tmpfs("size=24m")
    training = context.start_training({**ENDLESS, "training.validate_every": 100000}, disk / "run").wait_epochs(3)
    fill(disk)
    training.wait().fails(FAILED, FULL)
    require(epochs(disk / "run") > 2, "the recorded epochs are lost")
