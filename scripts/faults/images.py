"""Images that are removed, damaged, moved or added, before and during a training."""
import shutil
import signal
import time

from . import pictures, recipes
from .harness import FAILED, INTERRUPTED, USER_ERROR, epochs, fault, faults, require
from .run_folder import RECORD

KIND = "images"
EITHER = {FAILED, USER_ERROR}
ONE = "class-00/0.png"
TESTED = "class-15/0.png"


def settings(root, **more):
    """The configuration of an endless training on a folder of images."""
    return {**recipes.folder(root), "training.epochs": 100000, "training.validate_every": 5, **more}


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


DAMAGES = {
    "removed": remove,
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "replaced by a text": lambda path: path.write_text("not an image\n"),
    "replaced by a folder": lambda path: (path.unlink(), path.mkdir()),
    "replaced by a broken link": lambda path: (path.unlink(), path.symlink_to("nowhere.png")),
}


@faults(KIND, "an image is {} during a training", DAMAGES)
def image_damaged(context, damage):
    root = context.copy("images", "images")
    training = context.start_training(settings(root)).wait_epochs(6)
    kept = (root / ONE).read_bytes()
    damage(root / ONE)
    training.wait().fails(EITHER, r"0\.png")
    if (root / ONE).is_dir():
        (root / ONE).rmdir()
    (root / ONE).unlink(missing_ok=True)
    (root / ONE).write_bytes(kept)
    context.continues(training.run, reference=None)


@faults(KIND, "an image is {} during a training that skips broken images", DAMAGES)
def image_damaged_and_skipped(context, damage):
    root = context.copy("images", "images")
    training = context.start_training(settings(root, **{"data.broken_images": "skip"})).wait_epochs(6)
    damage(root / ONE)
    training.wait_epochs(epochs(training.run) + 20)
    training.send(signal.SIGTERM).wait().interrupted().says("skip|broken")


@faults(KIND, "all images are {} during a training that skips broken images", {"removed": remove, "cut": cut})
def all_damaged_and_skipped(context, damage):
    root = context.copy("images", "images")
    training = context.start_training(settings(root, **{"data.broken_images": "skip"})).wait_epochs(6)
    for path in root.glob("*/*.png"):
        damage(path)
    training.wait().fails(EITHER, "image")


@faults(KIND, "{} is removed during a training", {"the folder of the images": ".", "the folder of a class": "class-00", "the folder of a test class": "class-15"})
def folder_removed(context, name):
    root = context.copy("images", "images")
    training = context.start_training(settings(root)).wait_epochs(6)
    hidden = (root / name).rename(context.work / "hidden")
    if name.endswith("15"):
        # Test images are measured at the end only.
        training.wait_epochs(epochs(training.run) + 3).send(signal.SIGTERM).wait().interrupted()
    else:
        training.wait().fails(EITHER, "images")
    hidden.rename(root / name)
    context.continues(training.run, reference=None)


@fault(KIND, "a test image is removed during a training")
def test_image_removed(context):
    root = context.copy("images", "images")
    training = context.start_training(settings(root, **{"training.epochs": 60})).wait_epochs(3)
    hidden = (root / TESTED).rename(context.work / "hidden.png")
    training.wait().fails(EITHER, r"0\.png")
    hidden.rename(root / TESTED)
    context.resume(training.run).succeeds()
    context.complete(training.run)


@faults(KIND, "an image is {} during the start", {"removed": remove, "cut": cut})
def damaged_at_start(context, damage):
    root = context.copy("images", "images")
    training = context.start_training(settings(root, **{"training.epochs": 30})).wait_handler()
    damage(root / ONE)
    # Removed before the folder is listed, the image is not part of the dataset.
    training.wait().succeeds_or_fails(EITHER, r"0\.png|images")


def moved_copy(context, name="images-run"):
    """A finished run whose images are at another place. Returns the run and the images."""
    run = context.copy(name)
    return run, context.copy("images", "moved")


@faults(KIND, "an image is {} before a resume", DAMAGES)
def damaged_before_resume(context, damage):
    run, root = moved_copy(context)
    damage(root / ONE)
    context.resume(run, "--root", root, epochs=200).fails(EITHER, r"0\.png|training")


@faults(KIND, "an image is {} before a resume that skips broken images", DAMAGES)
def skipped_before_resume(context, damage):
    run, root = moved_copy(context)
    damage(root / ONE)
    if (root / ONE).is_dir():
        # A folder inside a class folder is a mistake in the structure, not a broken image.
        context.resume(run, "--root", root, "--set", "data.broken_images=skip", epochs=30).fails(USER_ERROR, r"0\.png")
        return
    context.resume(run, "--root", root, "--set", "data.broken_images=skip", epochs=30).succeeds("skip|broken")
    context.complete(run)
    require("broken_images" in (run / RECORD).read_text(), "run.json does not record the change")


def add_image(root):
    (root / "class-00" / "99.png").write_bytes(pictures.picture(0, 99))


def add_class(root):
    shutil.copytree(root / "class-00", root / "class-99")


def rename_class(root):
    (root / "class-01").rename(root / "class-01b")


def remove_class(root):
    shutil.rmtree(root / "class-01")


def rename_image(root):
    (root / ONE).rename(root / "class-00" / "other.png")


@faults(KIND, "{} before a resume", {
    "an image is added": add_image,
    "a class is added": add_class,
    "a class is removed": remove_class,
    "a class is renamed": rename_class,
    "all images are removed": lambda root: [path.unlink() for path in root.glob("*/*.png")],
    "the folder is emptied": lambda root: [shutil.rmtree(path) for path in root.iterdir()],
})  # fmt: skip
def other_split(context, change):
    run, root = moved_copy(context)
    change(root)
    with context.unchanged(run):
        context.resume(run, "--root", root, epochs=9).fails(USER_ERROR, "split|class|image")


@fault(KIND, "an image is renamed before a resume")
def renamed_image(context):
    run, root = moved_copy(context)
    rename_image(root)
    ended = context.resume(run, "--root", root, epochs=9).succeeds_or_fails(USER_ERROR, "image")
    ended.says("image")


@fault(KIND, "an image has another size before a resume")
def other_image(context):
    run, root = moved_copy(context)
    (root / ONE).write_bytes(pictures.picture(3, 3, side=33))
    context.resume(run, "--root", root, epochs=9).succeeds_or_fails(USER_ERROR, "image").says("image")


@fault(KIND, "the images were moved before a resume")
def moved(context):
    run, root = moved_copy(context)
    first = context.resume(run, "--set", f"data.root={context.work / 'gone'}", epochs=9)
    first.fails(USER_ERROR, r"gone.*--root|--root.*gone|gone.*data\.root")
    context.resumes(run, "--root", root, reference="images-extended")
    # The new place is recorded.
    context.resume(run, epochs=11).succeeds()


@fault(KIND, "the images were moved, and the resume uses data.root")
def moved_key(context):
    run, root = moved_copy(context)
    context.resumes(run, "--set", f"data.root={root}", reference="images-extended")


@faults(KIND, "--root of a resume is {}", {"missing": None, "a file": "file", "an empty folder": "folder"})
def wrong_root(context, kind):
    run, root = moved_copy(context)
    wrong = context.work / "wrong"
    if kind == "file":
        wrong.write_text("text\n")
    elif kind == "folder":
        wrong.mkdir()
    with context.unchanged(run):
        context.resume(run, "--root", wrong, epochs=9).fails(EITHER, "wrong")


@fault(KIND, "--root for a run without images")
def root_of_synthetic(context):
    context.refuses_to_resume(context.copy("finished"), "root|synthetic", "--root", context.fixtures.images)


@faults(KIND, "evaluate with a test image that is {}", {"removed": remove, "cut": cut})
def evaluate_damaged(context, damage):
    run, root = moved_copy(context)
    damage(root / TESTED)
    with context.unchanged(run):
        context.loop("evaluate", run, "--root", root).fails(EITHER, r"0\.png|test")


@fault(KIND, "the cache file is damaged before a resume")
def cache_damaged(context):
    cache = context.work / "cache"
    cached = {**recipes.folder(context.fixtures.images), "data.cache": "true", "data.cache_dir": cache}
    context.train({**cached, "training.epochs": 6, "training.validate_every": 2}).succeeds()
    for path in cache.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    context.resumes_or_refuses(context.work / "run", "cache", EITHER, reference="images-extended")


@fault(KIND, "the cache file is cut during a training")
def cache_cut(context):
    cache = context.work / "cache"
    cached = settings(context.fixtures.images, **{"data.cache": "true", "data.cache_dir": cache})
    training = context.start_training(cached).wait_epochs(6)
    for path in cache.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:100])
    while training.process.poll() is None and epochs(training.run) < 40:
        time.sleep(0.01)
    ended = training.send(signal.SIGTERM).wait()
    if ended.status != INTERRUPTED:
        ended.fails(EITHER, "cache")

