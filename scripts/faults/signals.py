"""Signals at each stage of each command, and terminals that are closed."""
import os
import pty
import signal
import time

from . import recipes, run_folder
from .harness import ENDLESS, OK, SIGNAL_LIMIT, Unhandled, epochs, fault, faults, require

KIND = "signals"
ENDING = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}
# Measuring takes about a second: 800 images of 32 x 32 pixels.
SLOW = {**ENDLESS, "data.images_per_class": 200, "data.image_size": 32, "data.resize": 36, "training.validate_every": 1, "data.validation_share": 0.5}


@faults(KIND, "{} during a training", ENDING)
def during_training(context, number):
    training = context.start_training().wait_epochs(6)
    training.send(number).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run)


@faults(KIND, "{} as soon as it is handled", ENDING)
def during_start(context, number):
    training = context.start_training().wait_handler(number)
    training.send(number).wait(SIGNAL_LIMIT).interrupted(resumable=False)
    context.continues_or_begins(training.run, ENDLESS)


@faults(KIND, "{} while the untrained network is measured", ENDING)
def during_first_measurement(context, number):
    training = context.start_training(SLOW)
    training.wait_until(training.run.exists, "the run folder")
    time.sleep(0.3)
    training.send(number).wait(SIGNAL_LIMIT).interrupted(resumable=False)
    context.continues_or_begins(training.run, SLOW, reference=None, count=1)


@faults(KIND, "{} while a checkpoint is written", ENDING)
def during_saving(context, number):
    training = context.start_training({**ENDLESS, "training.validate_every": 1}).wait_epochs(3)
    training.wait_until(lambda: run_folder.temporary_files(training.run), "writing of a checkpoint", 20)
    training.send(number).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run)


@faults(KIND, "SIGTERM {} seconds after the first epoch, while the run is measured", {"0.1": 0.1, "0.4": 0.4, "0.9": 0.9})
def during_validation(context, delay):
    training = context.start_training(SLOW).wait_epochs(1)
    time.sleep(delay)
    training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run, reference=None, count=1)


@fault(KIND, "two SIGINT at once")
def twice(context):
    training = context.start_training().wait_epochs(6)
    training.send(signal.SIGINT).send(signal.SIGINT).wait(SIGNAL_LIMIT).interrupted(resumable=False)
    context.continues(training.run)


@fault(KIND, "a second SIGINT during a measurement")
def twice_during_validation(context):
    training = context.start_training(SLOW).wait_epochs(1)
    training.send(signal.SIGINT)
    time.sleep(0.05)
    training.send(signal.SIGINT).wait(SIGNAL_LIMIT).interrupted(resumable=False)
    context.continues(training.run, reference=None, count=1)


@fault(KIND, "SIGINT and SIGTERM and SIGHUP at once")
def three_signals(context):
    training = context.start_training().wait_epochs(6)
    for number in ENDING.values():
        training.send(number)
    training.wait(SIGNAL_LIMIT).interrupted(resumable=False)
    context.continues(training.run)


@fault(KIND, "SIGHUP under nohup")
def under_nohup(context):
    training = context.start_training(ENDLESS, "run", wrapper=["nohup"]).wait_epochs(3)
    training.send(signal.SIGHUP).wait_epochs(epochs(training.run) + 5)
    require(training.process.poll() is None, f"the training ended: {training.text()[-300:]}")
    training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()


@fault(KIND, "SIGPIPE and SIGWINCH during a training")
def harmless_signals(context):
    training = context.start_training().wait_epochs(3)
    training.send(signal.SIGPIPE).send(signal.SIGWINCH).wait_epochs(epochs(training.run) + 3)
    training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run)


@fault(KIND, "SIGTSTP and SIGCONT during a training")
def stopped(context):
    training = context.start_training().wait_epochs(3)
    training.send(signal.SIGSTOP)
    time.sleep(0.3)
    training.send(signal.SIGCONT).wait_epochs(epochs(training.run) + 3)
    training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run)


@faults(KIND, "SIGKILL {}", {"before the first checkpoint": 1, "after some epochs": 7, "after twenty epochs": 20})
def killed(context, count):
    training = context.start_training().wait_epochs(count).kill()
    context.continues(training.run)


@fault(KIND, "SIGKILL while the run folder is created")
def killed_at_start(context):
    training = context.start_training(ENDLESS)
    training.wait_until(training.run.exists, "the run folder").kill()
    context.continues_or_begins(training.run, ENDLESS)


@faults(KIND, "SIGKILL {} seconds after the start", {"0.02": 0.02, "0.1": 0.1, "0.3": 0.3})
def killed_early(context, delay):
    training = context.start_training(ENDLESS)
    time.sleep(delay)
    training.kill()
    context.continues_or_begins(training.run, ENDLESS)


@fault(KIND, "SIGKILL while a checkpoint is written")
def killed_while_saving(context):
    training = context.start_training({**ENDLESS, "training.validate_every": 1}).wait_epochs(3)
    training.wait_until(lambda: run_folder.temporary_files(training.run), "writing of a checkpoint", 20).kill()
    context.continues(training.run)


@fault(KIND, "five SIGTERM and resumes")
def again_and_again(context):
    training = context.start_training().wait_epochs(3)
    for _ in range(5):
        training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()
        trained = epochs(training.run)
        training = context.start_resume(training.run).wait_epochs(trained + 1)
    training.send(signal.SIGTERM).wait(SIGNAL_LIMIT).interrupted()
    context.continues(training.run)


@faults(KIND, "{} during the start of a resume", ENDING)
def resume_interrupted(context, number):
    run = context.copy("finished")
    training = context.start_resume(run, "--set", "training.epochs=100000").wait_handler(number)
    training.send(number).wait(SIGNAL_LIMIT).interrupted(resumable=False)
    require(run_folder.checkpoints(run), "the checkpoints are lost")
    context.continues(run, reference=None, count=1)


LONG_COMMANDS = {
    "evaluate": lambda context: ["evaluate", slow_run(context), "--json"],
    "embed": lambda context: ["embed", context.fixture("embedder.safetensors"), "--images", many_images(context), "--output", context.work / "out.npy"],
    "data check": lambda context: ["data", "check", "--dataset", "folder", "--root", many_images(context)],
    "bench loss": lambda context: ["bench", "loss", "--repeats", "60000"],
    "bench step": lambda context: ["bench", "step", "--repeats", "60000"],
    "bench loader": lambda context: ["bench", "loader", "--images", "2000"],
    "devices": lambda context: ["devices"],
}  # fmt: skip


def slow_run(context):
    """A run whose evaluation takes seconds."""
    context.train({**SLOW, "training.epochs": 1}, "slow").succeeds()
    return context.work / "slow"


def many_images(context):
    """A folder of 8,000 links to images."""
    root = context.work / "many"
    for label in range(8):
        folder = root / f"class-{label:02}"
        folder.mkdir(parents=True)
        sources = sorted((context.fixtures.images / folder.name).iterdir())
        for number in range(1000):
            os.symlink(sources[number % len(sources)], folder / f"{number}.png")
    return root


@faults(KIND, "SIGINT to {}", LONG_COMMANDS)
def other_commands(context, arguments):
    command = context.start(*arguments(context))
    deadline = time.monotonic() + 0.4
    while time.monotonic() < deadline and command.process.poll() is None:
        time.sleep(0.01)
    command.send(signal.SIGINT)
    ended = command.wait(SIGNAL_LIMIT)
    # A command may end before the signal, or leave the signal to the system.
    require(ended.status in (OK, 130, -signal.SIGINT), f"status {ended.status}: {ended.tail()}")
    left = [path.name for path in context.work.iterdir() if path.name.startswith(".") or path.name.startswith("out")]
    require(not left or ended.status == OK, f"left over: {left}")


class Terminal:
    """A training in a pseudo-terminal."""

    def __init__(self, context, kind, *arguments):
        self.run = context.work / "run"
        command = context.command(["train", "--run", self.run, *recipes.options(ENDLESS), *arguments])
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(command[0], command, {**context.environment, "TERM": kind})
            finally:
                os._exit(99)
        self.closed = False

    def wait_epochs(self, count):
        """Reads the terminal until a number of epochs is recorded."""
        deadline = time.monotonic() + 30
        os.set_blocking(self.file, False)
        while epochs(self.run) <= count:
            require(time.monotonic() < deadline, "no epochs in 30 s")
            self.read()
            time.sleep(0.01)

    def read(self):
        """Reads what was printed."""
        try:
            return os.read(self.file, 1 << 16)
        except OSError:
            return b""

    def close(self):
        """Closes the terminal."""
        os.close(self.file)
        self.closed = True

    def wait(self):
        """Waits for the end. Returns the status."""
        deadline = time.monotonic() + SIGNAL_LIMIT
        while time.monotonic() < deadline:
            if not self.closed:
                self.read()
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise Unhandled(f"did not end in {SIGNAL_LIMIT:.0f} s")


@faults(KIND, "the terminal of {} is closed", {"the dashboard": ("xterm", []), "plain lines": ("xterm", ["--plain"]), "a dumb terminal": ("dumb", [])})
def terminal_closed(context, case):
    kind, arguments = case
    terminal = Terminal(context, kind, *arguments)
    terminal.wait_epochs(6)
    terminal.close()
    status = terminal.wait()
    require(status == 130, f"status {status}")
    context.continues(terminal.run)


@faults(KIND, "{} in the dashboard", ENDING)
def signal_in_dashboard(context, number):
    terminal = Terminal(context, "xterm")
    terminal.wait_epochs(6)
    os.kill(terminal.pid, number)
    status = terminal.wait()
    terminal.close()
    require(status == 130, f"status {status}")
    context.continues(terminal.run)


@fault(KIND, "Ctrl-C in the dashboard")
def control_c(context):
    terminal = Terminal(context, "xterm")
    terminal.wait_epochs(6)
    os.write(terminal.file, b"\x03")
    status = terminal.wait()
    terminal.close()
    require(status == 130, f"status {status}")
    context.continues(terminal.run)
