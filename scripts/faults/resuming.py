"""Resumes that must be exact, must change nothing, or must be refused."""
import json
import shutil

from .harness import ENDLESS, FAILED, FINISHED, USER_ERROR, epochs, fault, faults, require
from .run_folder import CONFIG, METRICS, RECORD, RESULT, checkpoints, history

KIND = "resuming"


@fault(KIND, "a finished run")
def finished(context):
    run = context.copy("finished")
    with context.unchanged(run):
        context.resume(run).succeeds("finished")


def stopped_early(context):
    """A run that stopped early: its recall cannot improve."""
    run = context.work / "run"
    settings = {**FINISHED, "training.epochs": 500, "training.validate_every": 1, "training.early_stopping": 2, "optimizer.learning_rate": "1e-12"}
    context.train(settings).succeeds("early")
    result = json.loads((run / RESULT).read_text())
    require(result.get("reason") == "early-stopping", f"the reason is {result.get('reason')}")
    return run


@fault(KIND, "a run that stopped early")
def early(context):
    run = stopped_early(context)
    for _ in range(2):
        with context.unchanged(run):
            context.resume(run).succeeds("early")


@fault(KIND, "a run that stopped early, with more patience")
def early_continued(context):
    run = stopped_early(context)
    trained = epochs(run)
    context.resume(run, "--set", "training.early_stopping=4").succeeds()
    require(epochs(run) > trained, "no epoch was trained")
    context.complete(run)


@fault(KIND, "an extended run keeps its measurements and its best checkpoint")
def extended(context):
    run = context.copy("finished")
    lines = (run / METRICS).read_bytes()
    best = json.loads((run / RESULT).read_text())["best_epoch"]
    context.resumes(run)
    require((run / METRICS).read_bytes().startswith(lines), "earlier lines of metrics.jsonl were changed")
    now = json.loads((run / RESULT).read_text())["best_epoch"]
    names = [path.name for path in checkpoints(run)]
    require(f"epoch-{now}.safetensors" in names, f"the best checkpoint, epoch {now}, is missing: {names}")
    if now == best:
        context.loop("evaluate", run, "--checkpoint", best).succeeds()


@fault(KIND, "an off-schedule last epoch keeps its measurement and checkpoint when the run is extended")
def off_schedule(context):
    run = context.work / "run"
    context.train({**FINISHED, "training.validate_every": 4, "training.epochs": 10}).succeeds()
    lines = (run / METRICS).read_bytes()
    require("recall" in (run / METRICS).read_text().splitlines()[10], "epoch 10 was not measured")
    context.resume(run, epochs=12).succeeds()
    require((run / METRICS).read_bytes().startswith(lines), "earlier lines of metrics.jsonl were changed")
    best = json.loads((run / RESULT).read_text())["best_epoch"]
    names = [path.name for path in checkpoints(run)]
    require(f"epoch-{best}.safetensors" in names, f"the best checkpoint, epoch {best}, is missing: {names}")
    context.complete(run)


@fault(KIND, "an extended run whose best epoch is off schedule")
def off_schedule_best(context):
    run = context.work / "run"
    # After epoch 10 nothing is learned, so that an earlier epoch stays the best.
    context.train({**FINISHED, "training.validate_every": 10, "training.epochs": 5}).succeeds()
    best = json.loads((run / RESULT).read_text())["best_epoch"]
    context.resume(run, "--set", "optimizer.learning_rate=1e-12", epochs=40).succeeds()
    now = json.loads((run / RESULT).read_text())["best_epoch"]
    require(now == best, f"the best epoch is {now}, not {best}")
    context.loop("evaluate", run, "--checkpoint", "best").succeeds()
    context.complete(run)


REFUSED = {
    "training.seed": 2,
    "training.validate_every": 3,
    "training.freeze_backbone_epochs": 2,
    "model.backbone": "googlenet",
    "model.embedding_dim": 32,
    "model.pooling": "max",
    "model.dropout": 0.5,
    "model.normalize": "false",
    "data.dataset": "folder",
    "data.image_size": 24,
    "data.classes": 8,
    "data.split_seed": 9,
    "data.validation_share": 0.5,
    "batch.classes": 2,
    "batch.images_per_class": 2,
    "loss.name": "triplet",
    "loss.margin": 0.7,
    "negatives.name": "none",
    "optimizer.beta_1": 0.5,
    "evaluation.protocol": "published",
}


@faults(KIND, "{} is changed", {key: (key, value) for key, value in REFUSED.items()})
def refused_change(context, case):
    key, value = case
    # The new value may be refused first, because it needs another key: a backbone larger images, a dataset its
    # root.
    context.refuses_to_resume(context.copy("finished"), key.replace(".", r"\.") + r"|backbone|data\.root", "--set", f"{key}={value}")


ACCEPTED = {
    "training.early_stopping": 5,
    "training.checkpoint_every": 1,
    "training.keep_checkpoints": 3,
    "training.gradient_checkpointing": "true",
    "training.tensorboard": "false",
    "data.workers": 2,
    "data.prefetch": 1,
    "evaluation.batch_size": 24,
    "data.broken_images": "skip",
}
ACCEPTED_RATES = {
    "optimizer.learning_rate": 5e-4,
    "optimizer.decay_epochs": "[7]",
    "optimizer.decay_factor": 0.1,
    "optimizer.weight_decay": 0,
    "optimizer.backbone_lr_scale": 0.5,
}


@faults(KIND, "{} is changed, and the numbers are the same", {key: (key, value) for key, value in ACCEPTED.items()})
def accepted_change(context, case):
    key, value = case
    run = context.copy("finished")
    context.resumes(run, "--set", f"{key}={value}")
    require(f'"{key}"' in (run / RECORD).read_text(), f"run.json does not record the change of {key}")


@faults(KIND, "{} is changed", {key: (key, value) for key, value in ACCEPTED_RATES.items()})
def accepted_rate(context, case):
    key, value = case
    run = context.copy("finished")
    context.resume(run, "--set", f"{key}={value}", epochs=9).succeeds()
    context.complete(run)
    require(f'"{key}"' in (run / RECORD).read_text(), f"run.json does not record the change of {key}")
    require(history(run)[:7] == history(context.fixture("finished")), "earlier epochs were changed")


@faults(KIND, "{} threads instead of one", {"two": "2", "three": "3"})
def other_threads(context, count):
    run = context.copy("finished")
    context.resume(run, epochs=9, environment={"RAYON_NUM_THREADS": count}).succeeds("thread")
    context.complete(run)


@fault(KIND, "fewer epochs than were trained")
def fewer_epochs(context):
    run = context.copy("finished")
    with context.unchanged(run):
        context.resume(run, epochs=3).succeeds_or_fails(USER_ERROR, "epoch").says("epoch|finished")


WRONG_FOLDERS = {
    "a folder that does not exist": lambda context, path: None,
    "an empty folder": lambda context, path: path.mkdir(),
    "a file": lambda context, path: path.write_text("text\n"),
    "a folder of images": lambda context, path: shutil.copytree(context.fixtures.images, path),
    "a checkpoint": lambda context, path: shutil.copyfile(checkpoints(context.fixture("finished"))[0], path),
    "a link to itself": lambda context, path: path.symlink_to(path),
}


@faults(KIND, "{} instead of a run", WRONG_FOLDERS)
def wrong_folder(context, make):
    path = context.work / "given"
    make(context, path)
    for command in (["train", "--resume", "--run", path], ["evaluate", path], ["export", path, "--output", context.work / "o.safetensors"]):
        context.loop(*command).fails({FAILED, USER_ERROR}, "given")
    require(not (context.work / "o.safetensors").exists(), "the output was written")


@fault(KIND, "--resume without --run")
def without_run(context):
    context.loop("train", "--resume").fails(USER_ERROR, "--run")


@fault(KIND, "--resume with --config")
def with_config(context):
    run = context.copy("finished")
    (context.work / "c.toml").write_text("[training]\nepochs = 9\n")
    with context.unchanged(run):
        context.loop("train", "--resume", "--run", run, "--config", context.work / "c.toml").fails(USER_ERROR, "--config")


@fault(KIND, "a link to a run")
def link(context):
    run = context.copy("finished", "real")
    (context.work / "run").symlink_to(run)
    context.resumes(context.work / "run")


@fault(KIND, "a run in a folder whose name has spaces and letters of other languages")
def unusual_name(context):
    context.resumes(context.copy("finished", "läufe 実験 'a' \"b\""))


@fault(KIND, "a run in a folder whose name is not UTF-8")
def not_utf8(context):
    run = context.work / b"run-\xff".decode("utf-8", "surrogateescape")
    shutil.copytree(context.fixture("finished"), run)
    context.loop("train", "--resume", "--run", run, "--set", "training.epochs=9").succeeds()
    context.same_history(run, "extended")


@fault(KIND, "a resume in several parts ends as one training does")
def in_parts(context):
    run = context.copy("finished")
    for last in (7, 8, 9):
        context.resume(run, epochs=last).succeeds()
    lines = history(run)
    for line, expected in zip(lines, history(context.fixture("extended"))):
        require(line.get("training") == expected.get("training"), f"epoch {line['epoch']} differs")
    context.complete(run)


@fault(KIND, "a run with one epoch per resume and an unfinished last one")
def interrupted_again(context):
    training = context.start_training({**ENDLESS, "training.validate_every": 100000}).wait_epochs(4).kill()
    context.continues(training.run)


@fault(KIND, "config.toml and run.json after a refused resume")
def untouched(context):
    run = context.copy("finished")
    before = (run / CONFIG).stat().st_mtime_ns, (run / RECORD).stat().st_mtime_ns
    context.refuses_to_resume(run, "seed", "--set", "training.seed=4")
    after = (run / CONFIG).stat().st_mtime_ns, (run / RECORD).stat().st_mtime_ns
    require(before == after, "the files were written")

