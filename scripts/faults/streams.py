"""Closed pipes, full devices and closed streams, for every subcommand."""
from . import recipes
from .harness import FAILED, FINISHED, OK, USER_ERROR, fault, faults, require

KIND = "streams"

# Every subcommand; `train` is checked more strictly below.
COMMANDS = {
    "evaluate": lambda context: ["evaluate", context.fixture("finished")],
    "evaluate --json": lambda context: ["evaluate", context.fixture("finished"), "--json"],
    "evaluate --embeddings": lambda context: ["evaluate", "--embeddings", context.fixture("embeddings.safetensors")],
    "export": lambda context: ["export", context.fixture("finished"), "--output", context.work / "out.safetensors"],
    "embed": lambda context: ["embed", context.fixture("embedder.safetensors"), "--images", context.fixtures.images, "--output", context.work / "out.npy"],
    "loss": lambda context: ["loss", "--embeddings", context.fixture("embeddings.safetensors"), "--loss", "triplet", "--negatives", "loop"],
    "data check": lambda context: ["data", "check", "--dataset", "folder", "--root", context.fixtures.images],
    "data stats": lambda context: ["data", "stats", "--dataset", "folder", "--root", context.fixtures.images],
    "bench loss": lambda context: ["bench", "loss", "--batch", "16", "--dim", "8", "--repeats", "2", "--all"],
    "bench step": lambda context: ["bench", "step", "--backbone", "conv4", "--size", "32", "--dim", "8", "--repeats", "1"],
    "bench loader": lambda context: [
        "bench", "loader", "--root", context.fixtures.images, "--batch", "8", "--size", "16", "--resize", "18", "--passes", "1", "--steps", "0"
    ],
    "devices": lambda context: ["devices"],
    "--help": lambda context: ["--help"],
    "train --help": lambda context: ["train", "--help"],
    "--version": lambda context: ["--version"],
    "a wrong subcommand": lambda context: ["tarin"],
    "a wrong key": lambda context: ["train", "--set", "loss.names=triplet"],
}  # fmt: skip
# The redirection, and whether the answer is lost in a way that is an error.
QUIET = {
    "| true": "| true; exit ${PIPESTATUS[0]}",
    "2>&1 | true": "2>&1 | true; exit ${PIPESTATUS[0]}",
    "| head -1": "| head -1; exit ${PIPESTATUS[0]}",
    "2>/dev/full": "2>/dev/full",
    "2>&-": "2>&-",
    "<&-": "<&-",
}
LOST = {">/dev/full": ">/dev/full", ">/dev/full 2>&1": ">/dev/full 2>&1", ">&-": ">&-", ">&- 2>&-": ">&- 2>&-"}
FAILING = ("a wrong subcommand", "a wrong key")


def cases(redirections):
    """Each subcommand with each redirection."""
    return {
        f"{command} {shown}": (command, redirection)
        for command in COMMANDS
        for shown, redirection in redirections.items()
    }


def expected(command):
    """The status of a subcommand whose answer is read."""
    return USER_ERROR if command in FAILING else OK


@faults(KIND, "{}", cases(QUIET))
def quiet(context, case):
    command, redirection = case
    ended = context.loop(*COMMANDS[command](context), shell=redirection)
    require(ended.status == expected(command), f"status {ended.status}, not {expected(command)}: {ended.tail()}")


@faults(KIND, "{}", cases(LOST))
def lost(context, case):
    command, redirection = case
    ended = context.loop(*COMMANDS[command](context), shell=redirection)
    if expected(command) != OK:
        return require(ended.status == expected(command), f"status {ended.status}: {ended.tail()}")
    require(ended.status in (OK, FAILED), f"status {ended.status}: {ended.tail()}")
    if ended.status == FAILED and "2>" not in redirection:
        ended.fails(FAILED, "space|output|standard|bad file")
    return None


@fault(KIND, "evaluate --json >/dev/full is an error")
def lost_answer_is_an_error(context):
    context.loop("evaluate", context.fixture("finished"), "--json", shell=">/dev/full").fails(FAILED, "space")


@faults(KIND, "train {}", {**QUIET, **LOST, "2>&1 | head -1": "2>&1 | head -1; exit ${PIPESTATUS[0]}"})
def training(context, redirection):
    context.loop("train", "--run", context.work / "run", *recipes.options(FINISHED), shell=redirection)
    context.same_history(context.work / "run", "finished")
    context.complete(context.work / "run")


@faults(KIND, "resume {}", {"| true": QUIET["2>&1 | true"], "2>/dev/full": "2>/dev/full", "2>&-": "2>&-"})
def resuming(context, redirection):
    run = context.copy("finished")
    ended = context.loop("train", "--resume", "--run", run, "--set", "training.epochs=9", shell=redirection)
    require(ended.status == OK, f"status {ended.status}: {ended.tail()}")
    context.same_history(run, "extended")
    context.complete(run)
