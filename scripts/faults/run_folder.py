"""The layout of a run folder, and comparisons of run folders. Needs only the standard library."""
import hashlib
import json
import math
import os
import pathlib
import re
import struct

CONFIG = "config.toml"
RECORD = "run.json"
METRICS = "metrics.jsonl"
RESULT = "result.json"
LOCK = "lock"
CHECKPOINTS = "checkpoint"
DIVERGED = "diverged"
TENSORBOARD = "tensorboard"

# The last line of config.toml: the checksum of the text before it.
CONFIG_CHECKSUM = "# sha256: "
# Checkpoints: epoch-12.safetensors at the end of an epoch, epoch-12-step-3.safetensors within one.
CHECKPOINT_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.safetensors")
# A file that is being written.
TEMPORARY_NAME = re.compile(r"\..*\.partial")

# A number that a resumed run may increase.
EVENTS_NAME = re.compile(r"events\.out\.tfevents\.\d{10}\.loop-dml")

# Keys that depend on the clock, or on a key that does.
METRICS_IGNORED = {"seconds", "crc32"}
RESULT_IGNORED = {"seconds", "checksum", "crc32"}
RECORD_IGNORED = {"seconds", "checksum", "crc32"}

KNOWN_FILES = {CONFIG, RECORD, METRICS, RESULT, LOCK}
BYTES_PER_VALUE = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}


class Damaged(Exception):
    """A file does not have the expected format."""


class Safetensors:
    """The tensors (name → type, shape, bytes) and the metadata of a safetensors file."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        try:
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8 : 8 + length])
        except (struct.error, ValueError) as error:
            raise Damaged(f"{path}: {error}") from error
        body = data[8 + length :]
        self.metadata = header.pop("__metadata__", {})
        self.tensors = {}
        for name, tensor in sorted(header.items()):
            start, end = tensor["data_offsets"]
            if end > len(body):
                raise Damaged(f"{path}: {name} is truncated")
            self.tensors[name] = (tensor["dtype"], tensor["shape"], body[start:end])

    def non_finite(self):
        """The names of the f32 tensors with an infinite or NaN value."""
        return [
            name
            for name, (kind, _, data) in self.tensors.items()
            if kind == "F32" and not all(math.isfinite(value) for (value,) in struct.iter_unpack("<f", data))
        ]


def write_safetensors(path, tensors, metadata=None):
    """Writes {name: (type, shape, bytes)}."""
    header, body = ({"__metadata__": metadata} if metadata else {}), b""
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def checkpoints(run):
    """The checkpoint files of a run, oldest first."""
    found = []
    for path in (pathlib.Path(run) / CHECKPOINTS).glob("*"):
        matched = CHECKPOINT_NAME.fullmatch(path.name)
        if matched:
            epoch, step = int(matched[1]), int(matched[2] or 0)
            # The step counts within its epoch; without one, the epoch is complete.
            found.append(((epoch - 1, step) if step else (epoch, 0), path))
    return [path for _, path in sorted(found)]


def temporary_files(run):
    """The names of files that are being written, or were when the process was killed."""
    names = []
    for folder in (run, os.path.join(run, CHECKPOINTS)):
        try:
            with os.scandir(folder) as entries:
                names += [entry.name for entry in entries if TEMPORARY_NAME.fullmatch(entry.name)]
        except OSError:
            pass
    return names


def unknown_files(run):
    """The relative paths of everything that does not belong to a finished run."""
    run = pathlib.Path(run)
    found = []
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        known = (
            str(name) in KNOWN_FILES | {CHECKPOINTS, TENSORBOARD}
            or (len(name.parts) == 2 and name.parts[0] == TENSORBOARD and EVENTS_NAME.fullmatch(path.name))
            or (len(name.parts) == 2 and name.parts[0] == CHECKPOINTS and CHECKPOINT_NAME.fullmatch(path.name))
        )
        if not known:
            found.append(str(name))
    return found


def snapshot(folder, but=(LOCK,)):
    """The bytes of every file of a folder, by relative path. The lock file may be created by a reader."""
    folder = pathlib.Path(folder)
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name in but:
            continue
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder"
    return found


def changes(before, after):
    """What differs between two snapshots, in words; empty if nothing does."""
    return (
        [f"{name} was removed" for name in before.keys() - after.keys()]
        + [f"{name} was created" for name in after.keys() - before.keys()]
        + [f"{name} was changed" for name in before.keys() & after.keys() if before[name] != after[name]]
    )


def without(value, ignored):
    """A JSON value without the ignored keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(inner, ignored) for key, inner in value.items() if key not in ignored}
    if isinstance(value, list):
        return [without(inner, ignored) for inner in value]
    return value


def first_difference(a, b, path=""):
    """The first place where two JSON values differ, in words; None if they are equal."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            where = f"{path}.{key}" if path else str(key)
            if key not in a or key not in b:
                return f"{where} is only in {'the second' if key not in a else 'the first'}"
            found = first_difference(a[key], b[key], where)
            if found:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (left, right) in enumerate(zip(a, b)):
            found = first_difference(left, right, f"{path}[{number}]")
            if found:
                return found
        return None
    return None if type(a) is type(b) and a == b else f"{path}: {a!r} and {b!r}"


def read_json(path):
    """A JSON file as (value, None), or (None, the reason)."""
    try:
        return json.loads(pathlib.Path(path).read_text()), None
    except (OSError, ValueError) as error:
        return None, f"{pathlib.Path(path).name}: {error}"


def history(run):
    """The lines of metrics.jsonl as JSON values."""
    try:
        return [json.loads(line) for line in (pathlib.Path(run) / METRICS).read_text().splitlines()]
    except ValueError as error:
        raise Damaged(f"{METRICS}: {error}") from error


def compare_histories(a, b):
    """The differences between the measurements of two runs, but for the times."""
    try:
        left, right = history(a), history(b)
    except (OSError, Damaged) as error:
        return [str(error)]
    found = [
        f"{METRICS} line {number + 1}: {difference}"
        for number, (one, two) in enumerate(zip(left, right))
        if (difference := first_difference(without(one, METRICS_IGNORED), without(two, METRICS_IGNORED)))
    ]
    if len(left) != len(right):
        found.append(f"{METRICS} has {len(left)} and {len(right)} lines")
    return found


def compare_checkpoints(a, b):
    """The first difference between two checkpoint files, in words; None if they are equal."""
    if pathlib.Path(a).read_bytes() == pathlib.Path(b).read_bytes():
        return None
    try:
        left, right = Safetensors(a), Safetensors(b)
    except Damaged as error:
        return str(error)
    name = pathlib.Path(a).name
    for tensor in sorted(left.tensors.keys() | right.tensors.keys()):
        if left.tensors.get(tensor) != right.tensors.get(tensor):
            return f"{name}: tensor {tensor} differs"
    return f"{name}: metadata differ: {first_difference(parsed(left.metadata), parsed(right.metadata))}"


def parsed(metadata):
    """Metadata with values that are JSON texts parsed, so that a difference can be named."""
    found = {}
    for key, text in metadata.items():
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def files(run):
    """The relative paths of everything in a run folder."""
    run = pathlib.Path(run)
    return {str(path.relative_to(run)) for path in run.rglob("*")}


def event_records(run):
    """The records of the events for TensorBoard, without their times."""
    records = []
    for path in sorted((pathlib.Path(run) / TENSORBOARD).glob("*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack_from("<Q", data)
            record, data = data[12 : 12 + length], data[16 + length :]
            if len(record) != length:
                raise Damaged(f"{path}: the last record is truncated")
            # The first field is the time: a tag and eight bytes. The seconds of an epoch are a value with this tag
            # and a number.
            records.append(re.sub(rb"time/epoch_seconds\x15.{4}", b"", record[9:], flags=re.S))
    return records


def is_events(name):
    """Whether a path within a run folder is a file of events."""
    return bool(EVENTS_NAME.fullmatch(os.path.basename(name)))


def compare_events(a, b):
    """The difference between the events of two runs."""
    try:
        left, right = event_records(a), event_records(b)
    except (Damaged, struct.error) as error:
        return [str(error)]
    if len(left) != len(right):
        return [f"{TENSORBOARD}: {len(left)} and {len(right)} records"]
    different = [number for number, (one, other) in enumerate(zip(left, right)) if one != other]
    if different:
        return [f"{TENSORBOARD}: the records {different} differ"]
    return []


def config_lines(run, ignored=()):
    """The lines of config.toml that match none of the patterns, and an end mark."""
    lines = (pathlib.Path(run) / CONFIG).read_text().splitlines()
    return [line for line in lines if not any(re.fullmatch(pattern, line) for pattern in ignored)] + ["end"]


def compare_runs(a, b, config_ignored=(), record_ignored=()):
    """The differences between two finished runs that must be equal but for the times. `config_ignored` are
    patterns of lines of config.toml."""
    a, b = pathlib.Path(a), pathlib.Path(b)
    found = [f"{name} is only in {a}" for name in sorted(files(a) - files(b)) if not is_events(name)]
    found += [f"{name} is only in {b}" for name in sorted(files(b) - files(a)) if not is_events(name)]
    found += compare_events(a, b)
    found += [f"{name} does not belong to a run" for name in unknown_files(b)]
    found += compare_histories(a, b)[:3]
    for left, right in zip(config_lines(a, config_ignored), config_lines(b, config_ignored)):
        if left != right:
            found.append(f"{CONFIG}: {left!r} and {right!r}")
    for name, ignored in [(RESULT, RESULT_IGNORED), (RECORD, RECORD_IGNORED | set(record_ignored))]:
        left, failed = read_json(a / name)
        right, failed_too = read_json(b / name)
        if failed or failed_too:
            found.append(failed or failed_too)
        elif difference := first_difference(without(left, ignored), without(right, ignored)):
            found.append(f"{name}: {difference}")
    for path in checkpoints(a):
        other = b / CHECKPOINTS / path.name
        if other.is_file() and (difference := compare_checkpoints(path, other)):
            found.append(difference)
    return found


def edit_config(run, old, new, seal=False):
    """Replaces a text of config.toml; with `seal` the checksum is computed again."""
    path = pathlib.Path(run) / CONFIG
    text = path.read_text()
    if not re.search(old, text, re.M):
        raise LookupError(f"{CONFIG} has no {old!r}")
    text = re.sub(old, new, text, count=1, flags=re.M)
    if seal:
        text = sealed(text)
    path.write_text(text)


def sealed(text):
    """The text of config.toml with the checksum that belongs to it."""
    body, mark, _ = text.rpartition(CONFIG_CHECKSUM)
    if not mark:
        return text
    return f"{body}{CONFIG_CHECKSUM}{hashlib.sha256(body.encode()).hexdigest()}\n"
