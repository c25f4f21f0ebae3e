"""Wrong arguments, configurations and input files."""
import os

from . import recipes
from .harness import FAILED, FINISHED, USER_ERROR, fault, faults, require

KIND = "arguments"
EITHER = {FAILED, USER_ERROR}

# `--set` arguments of `train`, and what the message names.
SETTINGS = {
    "an unknown key": ("loss.names=triplet", r"loss\.name"),
    "an unknown section": ("los.name=triplet", r"los\.name"),
    "a key without a value": ("loss.name", r"loss\.name|KEY=VALUE"),
    "an unknown loss": ("loss.name=tripplet", "triplet"),
    "an unknown backbone": ("model.backbone=resnet", "resnet50"),
    "an unknown dataset": ("data.dataset=mnist", "mnist"),
    "a word instead of a number": ("training.epochs=many", r"training\.epochs"),
    "a negative number of epochs": ("training.epochs=-1", r"epochs"),
    "a huge number of epochs": ("training.epochs=1" + "0" * 30, r"epochs"),
    "more classes in a batch than there are": ("batch.classes=1000", "classes"),
    "an odd number of images per class": ("batch.images_per_class=3", "images_per_class"),
    "one class in a batch": ("batch.classes=1", "classes"),
    "images of 0 pixels": ("data.image_size=0", "image_size"),
    "images of 2 pixels": ("data.image_size=2", "image_size"),
    "an empty embedding": ("model.embedding_dim=0", "embedding_dim"),
    "a list instead of a number": ("training.seed=[1]", "seed"),
    "unbalanced brackets": ("data.mean=[1,2", r"data\.mean"),
    "a value with control characters": ("loss.name=\x1b[2J", "loss"),
    "a value of 100 KB": ("loss.name=" + "x" * 100000, "loss"),
    "weights that do not exist": ("model.weights=nowhere.safetensors", "nowhere"),
    "a root that does not exist": ("data.root=nowhere", "root|nowhere"),
    "a negative checkpoint_every": ("training.checkpoint_every=-1", "checkpoint_every"),
    "tensorboard that is not a switch": ("training.tensorboard=maybe", "tensorboard"),
    "keep_checkpoints of 0": ("training.keep_checkpoints=0", "keep_checkpoints"),
    "a validation share of 2": ("data.validation_share=2", "validation_share"),
    "an unknown protocol": ("evaluation.protocol=best", "protocol"),
}


@faults(KIND, "train with {}", SETTINGS)
def wrong_setting(context, case):
    setting, pattern = case
    settings = recipes.options(FINISHED)
    context.loop("train", "--run", context.work / "run", *settings, "--set", setting).fails(USER_ERROR, pattern)
    require(not (context.work / "run").exists(), "the run folder was created")


CONFIGS = {
    "does not exist": None,
    "is empty but for a wrong key": b"colour = 3\n",
    "is not TOML": b"[model\n",
    "is not UTF-8": b"[model]\nbackbone = \"\xff\"\n",
    "is binary": bytes(range(256)) * 10,
    "extends itself": b'extends = "c.toml"\n',
    "extends a file that does not exist": b'extends = "nowhere.toml"\n',
    "has a line of 5 MB": b'[model]\nbackbone = "' + b"x" * 5_000_000 + b'"\n',
    "has a key with control characters": b'[model]\n"\\u001b[2J" = 1\n',
    "has deeply nested lists": b"[data]\nmean = " + b"[" * 20000 + b"]" * 20000 + b"\n",
    "has a key twice": b"[model]\nbackbone = \"conv4\"\nbackbone = \"conv4\"\n",
}


@faults(KIND, "the configuration {}", CONFIGS)
def wrong_config(context, data):
    path = context.work / "c.toml"
    if data is not None:
        path.write_bytes(data)
    context.loop("train", "--run", context.work / "run", "--config", path).fails(EITHER, r"c\.toml|nowhere\.toml")
    require(not (context.work / "run").exists(), "the run folder was created")


@fault(KIND, "the configuration is a folder")
def config_is_folder(context):
    (context.work / "c.toml").mkdir()
    context.loop("train", "--config", context.work / "c.toml").fails(EITHER, r"c\.toml")


@fault(KIND, "the run folder exists")
def run_exists(context):
    run = context.copy("finished")
    with context.unchanged(run):
        context.train(FINISHED).fails(USER_ERROR, "already exists")


@fault(KIND, "the run folder is a file")
def run_is_file(context):
    (context.work / "run").write_text("text\n")
    context.train(FINISHED).fails(USER_ERROR, "run")
    require((context.work / "run").read_text() == "text\n", "the file was changed")


@fault(KIND, "the run folder is below a file")
def run_below_file(context):
    (context.work / "file").write_text("text\n")
    context.train(FINISHED, "file/run").fails(EITHER, "file")


@fault(KIND, "the name of the run folder is too long")
def run_name_too_long(context):
    context.train(FINISHED, "r" * 300).fails(EITHER, "name|long|rrr")


@faults(KIND, "the name of the run folder has {}", {"a line break": "a\nb", "an escape": "a\x1b[2Jb"})
def run_name(context, name):
    context.train(FINISHED, name).succeeds_or_fails(USER_ERROR, "name|folder|a")


@fault(KIND, "the run folder is an empty folder")
def run_is_empty(context):
    (context.work / "run").mkdir()
    context.train(FINISHED).succeeds()
    context.same_history(context.work / "run", "finished")


@fault(KIND, "artifacts is a file")
def artifacts_is_file(context):
    (context.work / "artifacts").write_text("text\n")
    context.loop("train", *recipes.options(FINISHED)).fails(EITHER, "artifacts")


COMMANDS = {
    "no subcommand": ([], "usage|command"),
    "an unknown subcommand": (["tarin"], "train"),
    "an unknown option": (["train", "--epochs", "3"], "--epochs"),
    "an unknown backend": (["train", "--backend", "tpu"], "tpu"),
    "a backend that is not compiled in": (["train", "--backend", "cuda"], "cuda"),
    "a device that does not exist": (["train", "--backend", "cpu", "--device", "99"], "99|device"),
    "evaluate without a run": (["evaluate"], "run|embeddings"),
    "evaluate with K of 0": (["evaluate", "RUN", "--recall", "0"], "0"),
    "evaluate a checkpoint that does not exist": (["evaluate", "RUN", "--checkpoint", "99"], "99"),
    "evaluate with a batch of 0": (["evaluate", "RUN", "--batch-size", "0"], "0"),
    "export without an output": (["export", "RUN"], "--output"),
    "export to a folder that does not exist": (["export", "RUN", "--output", "nowhere/o.safetensors"], "nowhere"),
    "export to another format": (["export", "RUN", "--output", "o.onnx"], "safetensors"),
    "embed without images": (["embed", "RUN", "--output", "o.npy"], "--images"),
    "embed images that do not exist": (["embed", "RUN", "--images", "nowhere", "--output", "o.npy"], "nowhere"),
    "embed to another format": (["embed", "RUN", "--images", "IMAGES", "--output", "o.txt"], "npy"),
    "a loss of a file that is not safetensors": (["loss", "--embeddings", "TEXT", "--loss", "triplet", "--negatives", "none"], "TEXT|text"),
    "data check of a folder that does not exist": (["data", "check", "--dataset", "folder", "--root", "nowhere"], "nowhere"),
    "bench with an odd batch": (["bench", "step", "--backbone", "conv4", "--size", "32", "--batch", "5"], "batch|5"),
    "bench with a batch of 0": (["bench", "loss", "--batch", "0"], "batch|0"),
}  # fmt: skip


@faults(KIND, "{}", COMMANDS)
def wrong_command(context, case):
    arguments, pattern = case
    (context.work / "text").write_text("text\n")
    places = {"RUN": context.fixture("finished"), "IMAGES": context.fixtures.images, "TEXT": context.work / "text"}
    ended = context.loop(*[places.get(argument, argument) for argument in arguments])
    if not arguments:
        require(ended.status == USER_ERROR, f"status {ended.status}")
        return
    ended.fails(USER_ERROR if "cuda" not in arguments else EITHER, pattern)


@faults(KIND, "{} to a file that exists", {"export": "export", "embed": "embed", "loss": "loss"})
def output_exists(context, command):
    output = context.work / "o.safetensors"
    output.write_text("precious\n")
    arguments = {
        "export": [context.fixture("finished"), "--output", output],
        "embed": [context.fixture("finished"), "--images", context.fixtures.images, "--output", output],
        "loss": ["--embeddings", context.fixture("embeddings.safetensors"), "--loss", "triplet", "--negatives", "none", "--gradients", output],
    }[command]
    context.loop(command, *arguments).fails(EITHER, r"o\.safetensors")
    require(output.read_text() == "precious\n", "the file was changed")


@fault(KIND, "an argument that is not UTF-8")
def not_utf8(context):
    context.loop("train", "--set", os.fsdecode(b"loss.name=\xff")).fails(USER_ERROR, "UTF-8|loss")


@fault(KIND, "an embedding file whose header is larger than the file")
def large_header(context):
    path = context.work / "e.safetensors"
    path.write_bytes(b"\xff\xff\xff\xff\xff\xff\x00\x00{}")
    context.loop("evaluate", "--embeddings", path).fails(EITHER, r"e\.safetensors")


@fault(KIND, "an embedding file that is a device")
def device(context):
    context.loop("evaluate", "--embeddings", "/dev/null").fails(EITHER, "/dev/null")
