"""Files of a run folder that were edited, damaged, removed, or copied from another run."""
import json
import shutil

from .harness import OK, USER_ERROR, fault, faults, require
from .run_folder import (
    CHECKPOINTS,
    CONFIG,
    CONFIG_CHECKSUM,
    LOCK,
    METRICS,
    RECORD,
    RESULT,
    checkpoints,
    edit_config,
    sealed,
)

KIND = "tampering"
# Each names the file, and says that it is not what the program wrote.
CONFIG_MESSAGE = r"config\.toml"
RECORD_MESSAGE = r"run\.json"
METRICS_MESSAGE = r"metrics\.jsonl"
CHECKPOINT_MESSAGE = r"epoch-\d+"

# What is edited in config.toml: a pattern and its replacement.
CONFIG_EDITS = {
    "backbone": ('^backbone = .*', 'backbone = "googlenet"'),
    "pooling": ('^pooling = .*', 'pooling = "max"'),
    "embedding_dim": ("^embedding_dim = .*", "embedding_dim = 32"),
    "learning_rate": ("^learning_rate = .*", "learning_rate = 0.5"),
    "seed": ("^seed = .*", "seed = 2"),
    "loss": ('^name = "hphn-triplet"', 'name = "triplet"'),
    "negatives": ('^name = "loop"', 'name = "none"'),
    "margin": ("^margin = .*", "margin = 0.3"),
    "image_size": ("^image_size = .*", "image_size = 17"),
    "batch.classes": (r"(?<=\[batch\]\n)classes = .*", "classes = 2"),
    "epochs": ("^epochs = .*", "epochs = 7"),
    "normalize": ("^normalize = .*", "normalize = false"),
    "an unknown key": (r"^\[batch\]", "[batch]\ncolour = 3"),
}
# With the checksum computed again, the checkpoints and run.json still show that these are another run's.
SEALED_EDITS = ("backbone", "pooling", "embedding_dim", "seed", "loss", "normalize", "image_size", "batch.classes")


@faults(KIND, "config.toml: {} edited", CONFIG_EDITS)
def config_edited(context, edit):
    run = context.copy("finished")
    edit_config(run, *edit)
    context.refuses_to_resume(run, CONFIG_MESSAGE)


@faults(KIND, "config.toml: {} edited and the checksum computed again", {name: CONFIG_EDITS[name] for name in SEALED_EDITS})
def config_edited_and_sealed(context, edit):
    run = context.copy("finished")
    edit_config(run, *edit, seal=True)
    context.refuses_to_resume(run, rf"{CONFIG_MESSAGE}|{CHECKPOINT_MESSAGE}|{RECORD_MESSAGE}")


@faults(KIND, "evaluate after {} was edited in config.toml", {name: CONFIG_EDITS[name] for name in ("backbone", "pooling", "embedding_dim")})
def evaluate_edited_config(context, edit):
    run = context.copy("finished")
    edit_config(run, *edit)
    with context.unchanged(run):
        context.loop("evaluate", run).fails(USER_ERROR, CONFIG_MESSAGE)


CONFIG_DAMAGES = {
    "is empty": lambda text: b"",
    "is cut in half": lambda text: text[: len(text) // 2],
    "is not UTF-8": lambda text: text.replace(b"conv4", b"con\xff4"),
    "is not TOML": lambda text: text.replace(b"[model]", b"[model"),
    "has a wrong checksum": lambda text: text[:-5] + b"0000\n",
    "has a checksum that is not hexadecimal": lambda text: text[:-10] + b"zzzzzzzzz\n",
    "has a flipped bit": lambda text: text[:40] + bytes([text[40] ^ 1]) + text[41:],
    "is followed by a key": lambda text: text + b"[data]\nworkers = 1\n",
    "has NUL bytes instead": lambda text: bytes(len(text)),
}


@faults(KIND, "config.toml {}", CONFIG_DAMAGES)
def config_damaged(context, damage):
    run = context.copy("finished")
    path = run / CONFIG
    path.write_bytes(damage(path.read_bytes()))
    context.refuses_to_resume(run, CONFIG_MESSAGE)


@fault(KIND, "config.toml: pooling edited and the checksum removed")
def config_without_checksum(context):
    run = context.copy("finished")
    edit_config(run, *CONFIG_EDITS["pooling"])
    path = run / CONFIG
    path.write_text(path.read_text().partition(CONFIG_CHECKSUM)[0])
    context.refuses_to_resume(run, rf"{CONFIG_MESSAGE}|{CHECKPOINT_MESSAGE}")


@faults(KIND, "{} of another run", {name: name for name in (CONFIG, RECORD, METRICS)})
def file_of_another_run(context, name):
    run = context.copy("finished")
    shutil.copyfile(context.fixture("other-seed") / name, run / name)
    context.refuses_to_resume(run, rf"{CONFIG_MESSAGE}|{RECORD_MESSAGE}|{METRICS_MESSAGE}|{CHECKPOINT_MESSAGE}")


@faults(KIND, "{} is missing", {name: name for name in (CONFIG, RECORD)})
def file_missing(context, name):
    run = context.copy("finished")
    (run / name).unlink()
    context.refuses_to_resume(run, name.replace(".", r"\."))


@fault(KIND, "config.toml is a folder")
def config_is_folder(context):
    run = context.copy("finished")
    (run / CONFIG).unlink()
    (run / CONFIG).mkdir()
    context.refuses_to_resume(run, CONFIG_MESSAGE, statuses={1, 2})


def edit_record(key, value):
    """Returns a function that sets a key of run.json and keeps its checksum."""

    def edit(text):
        record = json.loads(text)
        require(key in record, f"run.json has no {key}")
        record[key] = value
        return json.dumps(record, indent=2).encode() + b"\n"

    return edit


RECORD_DAMAGES = {
    "has another seed": edit_record("seed", 3),
    "has another number of parameters": edit_record("parameters", 7),
    "has another protocol": edit_record("protocol", "published"),
    "has another backend": edit_record("backend", "cuda"),
    "has other training images": edit_record("train", {"images": 1, "classes": ["a"]}),
    "is empty": lambda text: b"",
    "is cut in half": lambda text: text[: len(text) // 2],
    "is a list": lambda text: b"[]\n",
    "is not UTF-8": lambda text: text.replace(b"seed", b"se\xffd"),
    "has NUL bytes instead": lambda text: bytes(len(text)),
}


@faults(KIND, "run.json {}", RECORD_DAMAGES)
def record_damaged(context, damage):
    run = context.copy("finished")
    path = run / RECORD
    path.write_bytes(damage(path.read_bytes()))
    context.refuses_to_resume(run, RECORD_MESSAGE)


def on_lines(change):
    """Returns a function that applies a change to the list of lines of metrics.jsonl."""
    return lambda text: b"".join(change(text.splitlines(keepends=True)))


def flip_digit(line):
    """Changes the last digit of a number in a line of metrics.jsonl."""
    start = line.index(b'"loss":') + len(b'"loss":') + 4
    digit = line[start : start + 1]
    return line[:start] + (b"1" if digit != b"1" else b"2") + line[start + 1 :]


METRICS_DAMAGES = {
    "has a flipped digit in the middle": on_lines(lambda lines: [*lines[:3], flip_digit(lines[3]), *lines[4:]]),
    "has a flipped digit in the last line": on_lines(lambda lines: [*lines[:-1], flip_digit(lines[-1])]),
    "lacks a line in the middle": on_lines(lambda lines: lines[:3] + lines[4:]),
    "has a line twice": on_lines(lambda lines: lines[:3] + lines[2:]),
    "has exchanged lines": on_lines(lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]]),
    "has half a line in the middle": on_lines(lambda lines: [*lines[:3], lines[3][:20] + b"\n", *lines[4:]]),
    "has NUL bytes instead": lambda text: bytes(len(text)),
    "is not UTF-8": lambda text: text.replace(b"epoch", b"ep\xffch", 1),
    "has an empty last line": lambda text: text + b"\n",
    "has an empty first line": lambda text: b"\n" + text,
}


@faults(KIND, "metrics.jsonl {}", METRICS_DAMAGES)
def metrics_damaged(context, damage):
    run = context.copy("finished")
    path = run / METRICS
    path.write_bytes(damage(path.read_bytes()))
    context.resumes_or_refuses(run, METRICS_MESSAGE)


# What a crash of the machine can leave: the run must be resumed, or refused with a reason.
METRICS_CUTS = {
    "half a last line": lambda text: text[:-40],
    "a last line without its end": lambda text: text[:-1],
    "half a line after the last": lambda text: text + b'{"epoch":7,"tra',
    "NUL bytes after the last line": lambda text: text + bytes(100),
}


@faults(KIND, "metrics.jsonl has {}", METRICS_CUTS)
def metrics_cut(context, cut):
    run = context.copy("finished")
    path = run / METRICS
    path.write_bytes(cut(path.read_bytes()))
    context.resumes(run)


@faults(KIND, "metrics.jsonl {}", {"lacks the last line": -1, "lacks two lines": -2, "lacks the last three lines": -3})
def metrics_short(context, count):
    run = context.copy("finished")
    path = run / METRICS
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))
    context.resumes_or_refuses(run, METRICS_MESSAGE)


@faults(KIND, "metrics.jsonl is {}", {"missing": None, "empty": b""})
def metrics_gone(context, data):
    run = context.copy("finished")
    path = run / METRICS
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    context.resumes_or_refuses(run, METRICS_MESSAGE)


def flip(data, position):
    """Flips a bit."""
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


CHECKPOINT_DAMAGES = {
    "cut in half": lambda data: data[: len(data) // 2],
    "cut by one byte": lambda data: data[:-1],
    "cut within its header": lambda data: data[:100],
    "empty": lambda data: b"",
    "changed by one bit in the length of the header": lambda data: flip(data, 1),
    "changed by one bit in the header": lambda data: flip(data, 60),
    "changed by one bit in the data": lambda data: flip(data, len(data) * 3 // 4),
    "changed by one bit in the last byte": lambda data: flip(data, -1),
    "followed by garbage": lambda data: data + b"garbage",
    "zero in its second half": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "a text": lambda data: b"not a checkpoint\n",
    "started with a huge length": lambda data: b"\xff" * 8 + data[8:],
}


@faults(KIND, "the newest checkpoint is {}", CHECKPOINT_DAMAGES)
def newest_damaged(context, damage):
    run = context.copy("finished")
    newest = checkpoints(run)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    context.resumes(run, pattern=newest.name.replace(".", r"\."))


@faults(KIND, "every checkpoint is {}", CHECKPOINT_DAMAGES)
def all_damaged(context, damage):
    run = context.copy("finished")
    require(checkpoints(run), "there is no checkpoint")
    for path in checkpoints(run):
        path.write_bytes(damage(path.read_bytes()))
    context.refuses_to_resume(run, CHECKPOINT_MESSAGE)


@faults(KIND, "{} with a damaged checkpoint", {"evaluate": "evaluate", "export": "export", "embed": "embed"})
def read_damaged(context, command):
    run = context.copy("finished")
    newest = checkpoints(run)[-1]
    newest.write_bytes(flip(newest.read_bytes(), len(newest.read_bytes()) * 3 // 4))
    arguments = {
        "evaluate": [],
        "export": ["--output", context.work / "out.safetensors"],
        "embed": ["--images", context.fixtures.images, "--output", context.work / "out.safetensors"],
    }[command]
    with context.unchanged(run):
        context.loop(command, run, "--checkpoint", "last", *arguments).fails({1, 2}, newest.name.replace(".", r"\."))
    require(not (context.work / "out.safetensors").exists(), "the output was written")


@faults(KIND, "the newest checkpoint is {}", {"another seed's": "other-seed", "another width's": "wide", "another loss's": "long"})
def newest_of_another_run(context, other):
    run = context.copy("finished")
    newest = checkpoints(run)[-1]
    shutil.copyfile(checkpoints(context.fixture(other))[-1], newest)
    context.resumes_or_refuses(run, newest.name.replace(".", r"\."))


@faults(KIND, "all checkpoints are {}", {"another seed's": "other-seed", "another width's": "wide"})
def all_of_another_run(context, other):
    run = context.copy("finished")
    shutil.rmtree(run / CHECKPOINTS)
    shutil.copytree(context.fixture(other) / CHECKPOINTS, run / CHECKPOINTS)
    context.refuses_to_resume(run, CHECKPOINT_MESSAGE)


@fault(KIND, "evaluate with the checkpoints of another width")
def evaluate_of_another_width(context):
    run = context.copy("finished")
    shutil.rmtree(run / CHECKPOINTS)
    shutil.copytree(context.fixture("wide") / CHECKPOINTS, run / CHECKPOINTS)
    context.loop("evaluate", run).fails(USER_ERROR, CHECKPOINT_MESSAGE)


@fault(KIND, "the checkpoint of an epoch has the name of another")
def renamed_checkpoint(context):
    run = context.copy("finished")
    older, newest = checkpoints(run)[-2:]
    shutil.copyfile(older, newest)
    context.resumes_or_refuses(run, CHECKPOINT_MESSAGE)


@fault(KIND, "a checkpoint of an epoch that was not trained")
def checkpoint_of_the_future(context):
    run = context.copy("finished")
    shutil.copyfile(checkpoints(run)[-1], run / CHECKPOINTS / "epoch-999999.safetensors")
    context.resumes_or_refuses(run, "epoch-999999")


@fault(KIND, "the newest checkpoint is missing")
def newest_missing(context):
    run = context.copy("finished")
    checkpoints(run)[-1].unlink()
    context.resumes_or_refuses(run, "checkpoint")


@fault(KIND, "the newest checkpoint is a folder")
def newest_is_folder(context):
    run = context.copy("finished")
    newest = checkpoints(run)[-1]
    newest.unlink()
    newest.mkdir()
    before = newest.name.replace(".", r"\.")
    context.resume(run, epochs=9).succeeds_or_fails({1, 2}, before)


@fault(KIND, "the newest checkpoint is a link to itself")
def newest_is_loop(context):
    run = context.copy("finished")
    newest = checkpoints(run)[-1]
    newest.unlink()
    newest.symlink_to(newest.name)
    context.resume(run, epochs=9).succeeds_or_fails({1, 2}, newest.name.replace(".", r"\."))


@fault(KIND, "all checkpoints are missing")
def all_missing(context):
    run = context.copy("finished")
    for path in checkpoints(run):
        path.unlink()
    context.refuses_to_resume(run, "checkpoint")


@fault(KIND, "the folder of the checkpoints is missing")
def folder_missing(context):
    run = context.copy("finished")
    shutil.rmtree(run / CHECKPOINTS)
    context.refuses_to_resume(run, "checkpoint")


@fault(KIND, "the best checkpoint is missing")
def best_missing(context):
    run = context.copy("finished")
    for path in checkpoints(run)[:-1]:
        path.unlink()
    context.loop("evaluate", run).succeeds_or_fails({1, 2}, "checkpoint")
    context.resumes(run)


@fault(KIND, "temporary files of a killed process are left")
def temporary_files_left(context):
    run = context.copy("finished")
    (run / CHECKPOINTS / ".epoch-7.safetensors.partial").write_bytes(b"half")
    (run / f".{METRICS}.partial").write_bytes(b"half")
    (run / f".{CONFIG}.partial").write_bytes(b"half")
    context.resumes(run)


@faults(KIND, "the lock file {}", {"is missing": None, "has contents": b"1234\n"})
def lock_file(context, data):
    run = context.copy("finished")
    (run / LOCK).unlink()
    if data is not None:
        (run / LOCK).write_bytes(data)
    context.resumes(run)


@fault(KIND, "the lock file is a folder")
def lock_is_folder(context):
    run = context.copy("finished")
    (run / LOCK).unlink()
    (run / LOCK).mkdir()
    context.refuses_to_resume(run, "lock", statuses={1, 2})


@faults(KIND, "result.json is {}", {"missing": None, "empty": b"", "cut": b'{"reason":"epo', "a list": b"[]\n"})
def result_damaged(context, data):
    run = context.copy("finished")
    (run / RESULT).unlink()
    if data is not None:
        (run / RESULT).write_bytes(data)
    ended = context.resume(run)
    if ended.status != OK:
        ended.fails({1, 2}, r"result\.json")
    else:
        context.same_history(run, "finished")
        context.complete(run)
        require((run / RESULT).is_file(), "result.json was not written")


@fault(KIND, "the whole run folder is a copy elsewhere")
def copied_run(context):
    run = context.copy("finished", "other place/run")
    context.resumes(run)


@fault(KIND, "config.toml is a recipe")
def config_is_recipe(context):
    run = context.copy("finished")
    path = run / CONFIG
    text = path.read_text()
    body = "[training]\nepochs = 3\n"
    path.write_text(sealed(body + CONFIG_CHECKSUM + "0\n") if CONFIG_CHECKSUM in text else body)
    context.refuses_to_resume(run, rf"{CONFIG_MESSAGE}|{CHECKPOINT_MESSAGE}|{RECORD_MESSAGE}")
