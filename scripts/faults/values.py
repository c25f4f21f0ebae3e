"""Numbers that are too large, infinite or NaN: learning rates, weights, embeddings."""
import json
import re
import struct

from . import recipes
from .harness import FAILED, FINISHED, OK, USER_ERROR, fault, faults, require
from .run_folder import DIVERGED, RECORD, Safetensors, checkpoints, history, write_safetensors

KIND = "values"
NOT_FINITE = r"not finite|infinite|NaN|mean magnitude"
ADVICE = r"--resume --run .*--set optimizer\.learning_rate="
# An epoch is one batch, so the last update of each epoch is its only one.
ONE_BATCH = {**FINISHED, "data.images_per_class": 4, "data.validation_share": 0.25, "batch.classes": 6}
LOSSES = {
    "triplet": {"loss.name": "triplet", "negatives.name": "none"},
    "HPHN triplet and LoOp": recipes.LOSSES["hphn-loop"],
    "multi-similarity and embedding expansion": recipes.LOSSES["ms-ee"],
}


def check_diverged(context, ended, run):
    """Checks a run that diverged: the message, and that no checkpoint has a value that is not finite."""
    ended.fails(FAILED, NOT_FINITE)
    require(re.search(ADVICE, ended.message, re.S), f"the message does not match {ADVICE!r}: {ended.tail()}")
    for path in checkpoints(run):
        bad = Safetensors(path).non_finite()
        require(not bad, f"{path.name} has values that are not finite: {bad[:2]}")


def resumes_with_smaller_rate(context, run, epochs, rate="1e-3"):
    """Checks that a run that diverged is resumed with another learning rate, which is recorded."""
    context.resume(run, "--set", f"optimizer.learning_rate={rate}", epochs=epochs).succeeds()
    context.complete(run)
    changes = json.loads((run / RECORD).read_text()).get("changes", [])
    require(any(change.get("key") == "optimizer.learning_rate" for change in changes), f"changes: {changes}")


RATES = {
    f"{rate}, {name}{batches}": ({**settings, **loss}, rate)
    for name, loss in LOSSES.items()
    for batches, settings in [("", FINISHED), (", one batch per epoch", ONE_BATCH)]
    for rate in ("1e38", "1e8")
}


@faults(KIND, "a learning rate of {}", RATES)
def new_run_diverges(context, case):
    settings, rate = case
    run = context.work / "run"
    ended = context.train({**settings, "training.epochs": 30, "optimizer.learning_rate": rate})
    if rate == "1e8" and ended.status == OK:
        # Adam's steps may leave finite values; then every checkpoint is finite, and the collapse is reported.
        context.complete(run)
        return
    check_diverged(context, ended, run)


@faults(KIND, "a good run is resumed with a learning rate of {}", {"1e38": "1e38", "1e30": "1e30", "1e8": "1e8"})
def good_run_diverges(context, rate):
    run = context.copy("finished")
    recall = context.evaluates(run)
    ended = context.resume(run, "--set", f"optimizer.learning_rate={rate}", epochs=30)
    if ended.status == OK:
        require(rate == "1e8", "the run ended as a success")
        context.complete(run)
        return
    check_diverged(context, ended, run)
    context.evaluates(run, like=recall)
    require((run / DIVERGED).is_dir(), "the step that diverged was not kept")
    resumes_with_smaller_rate(context, run, 12)


@fault(KIND, "a run with one batch per epoch diverges, and is resumed twice")
def one_batch_diverges(context):
    run = context.work / "run"
    context.train(ONE_BATCH).succeeds()
    recall = context.evaluates(run)
    for _ in range(2):
        check_diverged(context, context.resume(run, "--set", "optimizer.learning_rate=1e38", epochs=30), run)
        context.evaluates(run, like=recall)
    resumes_with_smaller_rate(context, run, 12, "1e-4")
    require(all("training" in line for line in history(run)[1:]), "epochs without statistics")


@faults(KIND, "{} is refused before the start", {
    "a learning rate of 0": ("optimizer.learning_rate", "0"),
    "a negative learning rate": ("optimizer.learning_rate", "-1e-3"),
    "a learning rate of nan": ("optimizer.learning_rate", "nan"),
    "a learning rate of inf": ("optimizer.learning_rate", "inf"),
    "a learning rate of 1e400": ("optimizer.learning_rate", "1e400"),
    "a margin of nan": ("loss.margin", "nan"),
    "a margin of inf": ("loss.margin", "inf"),
    "a weight decay of nan": ("optimizer.weight_decay", "nan"),
    "a dropout of 1.5": ("model.dropout", "1.5"),
    "an epsilon of -1": ("optimizer.epsilon", "-1"),
    "a decay factor of nan": ("optimizer.decay_factor", "nan"),
    "a standard deviation of 0": ("data.std", "[0,1,1]"),
})  # fmt: skip
def refused_value(context, case):
    key, value = case
    context.train({**FINISHED, key: value}).fails(USER_ERROR, key.replace(".", r"\.") + "|" + key.split(".")[1])
    require(not (context.work / "run").exists(), "the run folder was created")


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def broken_weights(context, value):
    """The weights of a backbone with one value replaced. Returns the file and the tensor's name."""
    tensors = dict(Safetensors(context.fixture("weights.safetensors")).tensors)
    name = next(name for name, (kind, _, data) in tensors.items() if kind == "F32" and len(data) > 400)
    kind, shape, data = tensors[name]
    tensors[name] = (kind, shape, data[:40] + floats([value]) + data[44:])
    path = context.work / "weights.safetensors"
    write_safetensors(path, tensors)
    return path, name


VALUES = {"NaN": float("nan"), "an infinite value": float("inf"), "a negative infinite value": float("-inf")}


@faults(KIND, "pretrained weights have {}", VALUES)
def weights(context, value):
    path, name = broken_weights(context, value)
    ended = context.train({**FINISHED, "model.weights": path})
    ended.fails(USER_ERROR, rf"weights\.safetensors.*{name.replace('.', '[.]')}|{name.replace('.', '[.]')}.*weights\.safetensors")
    require(not (context.work / "run").exists(), "the run folder was created")


@fault(KIND, "embed with pretrained weights that have NaN")
def embed_weights(context):
    path, _ = broken_weights(context, float("nan"))
    output = context.work / "out.npy"
    context.loop("embed", "--backbone", "conv4", "--weights", path, "--images", context.fixtures.images, "--output", output).fails(USER_ERROR, "weights")
    require(not output.exists(), "the output was written")


def embeddings(context, change, labels=(0, 0, 1, 1, 2, 2)):
    """A file of embeddings, changed."""
    rows = [[float(1 + row * 3 + column * (row + 1)) for column in range(4)] for row in range(len(labels))]
    change(rows)
    path = context.work / "batch.safetensors"
    shape = [len(rows), 4]
    write_safetensors(
        path,
        {
            "embeddings": ("F32", shape, floats([value for row in rows for value in row])),
            "labels": ("I64", [len(labels)], struct.pack(f"<{len(labels)}q", *labels)),
        },
    )
    return path


def put(row, column, value):
    """Returns a function that replaces a value."""

    def change(rows):
        rows[row][column] = value

    return change


@faults(KIND, "evaluate embeddings with {}", VALUES)
def evaluate_embeddings(context, value):
    context.loop("evaluate", "--embeddings", embeddings(context, put(2, 1, value))).fails(USER_ERROR, r"batch\.safetensors")


@faults(KIND, "loss of embeddings with {}", VALUES)
def loss_embeddings(context, value):
    path = embeddings(context, put(2, 1, value))
    context.loop("loss", "--embeddings", path, "--loss", "triplet", "--negatives", "none").fails(USER_ERROR, r"batch\.safetensors")


@faults(KIND, "loss of embeddings with {}", {"values of 1e38": put(0, 0, 1e38), "a row of zeros": lambda rows: rows.__setitem__(1, [0.0] * 4)})
def loss_extreme(context, change):
    path = embeddings(context, change)
    ended = context.loop("loss", "--embeddings", path, "--loss", "hphn-triplet", "--negatives", "loop", "--json")
    ended.succeeds_or_fails({FAILED, USER_ERROR}, rf"batch\.safetensors|{NOT_FINITE}")
    if ended.status == OK:
        require(not any(word in ended.output for word in ("NaN", "null", "Infinity")), f"not finite: {ended.tail()}")


@faults(KIND, "embeddings whose labels {}", {"are odd in number per class": (0, 0, 1), "are none": (), "are negative": (-1, -1, -1, -1)})
def label_faults(context, labels):
    path = embeddings(context, lambda rows: None, labels)
    context.loop("loss", "--embeddings", path, "--loss", "triplet", "--negatives", "loop").fails(USER_ERROR, r"batch\.safetensors|class|row")
