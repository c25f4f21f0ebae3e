"""Registers faults, runs the program in a temporary folder, and checks what it does.

A fault is a function that takes a `Context`. It returns normally if the program handled the fault, and raises
`Unhandled` with the reason if it did not. Checks that hold for every fault are made for every process: no
panic, no abort, no crash, at most one error message of bounded length, no control characters in the output.
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

from . import pictures, recipes, run_folder

# Also where it is ignored, as under `nohup`, trainings must end on SIGHUP.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

OK, FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
# 101: a panic; 134, 139 and negative numbers: an abort or a crash.
CRASHES = {101, 132, 134, 135, 136, 139, -4, -6, -7, -8, -11}
CRASH_TEXT = re.compile(
    r"panicked at|stack backtrace|RUST_BACKTRACE|core dumped|fatal runtime error|memory allocation of \d+ bytes failed"
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202e]")
MESSAGE_LIMIT = 4000  # characters
PROCESS_LIMIT = 30.0  # seconds
# After a signal, a process must end within this time; a second is the aim, and two cores are shared.
SIGNAL_LIMIT = 5.0
POLL = 0.001  # seconds
RESUME_MESSAGE = "resume with: loop-dml train --resume --run"
# A training that does not end by itself.
ENDLESS = {**recipes.SYNTHETIC, "training.epochs": 100000, "training.validate_every": 5}
FINISHED = {**recipes.SYNTHETIC, "training.epochs": 6, "training.validate_every": 2}
EXTENDED_EPOCHS = 9


class Unhandled(Exception):
    """The program did not handle a fault."""


class Skipped(Exception):
    """The fault cannot be injected on this machine."""


class Fault:
    """A named fault."""

    def __init__(self, kind, name, inject):
        self.kind, self.name, self.inject = kind, name, inject

    def __str__(self):
        return f"{self.kind}: {self.name}"


FAULTS = []


def fault(kind, name):
    """Registers a function as a fault."""

    def register(inject):
        FAULTS.append(Fault(kind, name, inject))
        return inject

    return register


def faults(kind, name, cases):
    """Registers a function for each case, {text: value}; the text completes the name, and the function is
    called with the value too."""

    def register(inject):
        for text, value in cases.items():
            FAULTS.append(Fault(kind, name.format(text), lambda context, value=value: inject(context, value)))
        return inject

    return register


def require(condition, reason):
    """Raises `Unhandled` unless the condition holds."""
    if not condition:
        raise Unhandled(reason)


class Ended:
    """A process that ended."""

    def __init__(self, command, status, output, errors):
        self.command, self.status, self.output, self.errors = command, status, output, errors
        text = output + errors
        require(status not in CRASHES, f"status {status}: {self.tail()}")
        require(not CRASH_TEXT.search(text), f"a panic or an abort: {self.tail()}")
        require(not CONTROL.search(text), f"control characters in the output: {self.tail()!r}")

    @property
    def message(self):
        """The error message: from `error:` to the end."""
        found = re.search(r"^error: .*", self.errors, re.M | re.S)
        return found[0] if found else ""

    def tail(self):
        """The end of the output, in one line."""
        lines = (self.output + self.errors).strip().splitlines()
        return " | ".join(line for line in lines[-3:])[-400:]

    def fails(self, statuses, pattern):
        """Checks the status and that one error message matches the pattern."""
        statuses = {statuses} if isinstance(statuses, int) else set(statuses)
        require(self.status in statuses, f"status {self.status}, not {sorted(statuses)}: {self.tail()}")
        count = len(re.findall(r"^error:", self.errors, re.M))
        require(count == 1, f"{count} error messages: {self.tail()}")
        require(len(self.message) <= MESSAGE_LIMIT, f"a message of {len(self.message)} characters")
        require(re.search(pattern, self.message, re.I | re.S), f"the message does not match {pattern!r}: {self.tail()}")
        return self

    def succeeds(self, pattern=None):
        """Checks that the status is 0, and that the output matches the pattern."""
        require(self.status == OK, f"status {self.status}, not 0: {self.tail()}")
        self.says(pattern)
        return self

    def succeeds_or_fails(self, statuses, pattern):
        """Checks for success, or for one of the statuses with a message."""
        return self if self.status == OK else self.fails(statuses, pattern)

    def interrupted(self, resumable=True):
        """Checks the end after a signal."""
        require(self.status == INTERRUPTED, f"status {self.status}, not {INTERRUPTED}: {self.tail()}")
        if resumable:
            require(RESUME_MESSAGE in self.errors, f"`{RESUME_MESSAGE}` is missing: {self.tail()}")
        return self

    def says(self, pattern):
        """Checks that the output matches a pattern."""
        text = self.output + self.errors
        require(pattern is None or re.search(pattern, text, re.I | re.S), f"nothing matches {pattern!r}: {self.tail()}")


class Running:
    """A process that runs in the background. Its output goes to a file."""

    def __init__(self, command, environment, folder, log, run):
        self.command, self.log, self.run = command, log, run
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=folder, start_new_session=True
            )

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_until(self, condition, what, seconds=PROCESS_LIMIT):
        """Waits until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            require(self.process.poll() is None, f"ended with {self.process.returncode} before {what}: {self.text()[-400:]}")
            require(time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s")
            time.sleep(POLL)
        return self

    def wait_epochs(self, count):
        """Waits until a number of trained epochs is recorded."""
        return self.wait_until(lambda: epochs(self.run) > count, f"epoch {count}")

    def wait_handler(self, number=signal.SIGTERM):
        """Waits until the process handles a signal."""

        def handled():
            try:
                status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            except OSError:
                return False
            found = re.search(r"SigCgt:\s*(\w+)", status)
            return bool(found and int(found[1], 16) >> (number - 1) & 1)

        return self.wait_until(handled, "handling of signals")

    def send(self, number):
        """Sends a signal."""
        self.process.send_signal(number)
        return self

    def wait(self, seconds=PROCESS_LIMIT):
        """Waits for the end."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Unhandled(f"did not end in {seconds:.0f} s: {self.text()[-300:]}") from None
        return Ended(self.command, self.process.returncode, "", self.text())

    def kill(self):
        """Ends the process with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return self


def epochs(run):
    """The number of recorded epochs, the untrained network included."""
    try:
        return (pathlib.Path(run) / run_folder.METRICS).read_bytes().count(b"\n")
    except OSError:
        return 0


class Fixtures:
    """The program and prepared runs, shared by all faults. They are only read."""

    def __init__(self, binary, work):
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        work.chmod(0o755)
        # A copy that another user can execute.
        self.binary = work / "loop-dml"
        shutil.copyfile(binary, self.binary)
        self.binary.chmod(0o755)
        self.folder = work / "fixtures"
        self.folder.mkdir()
        self.images = self.folder / "images"
        self.users = iter(range(61000, 65000))
        self.lock = threading.Lock()

    def prepare(self):
        """Trains the runs that faults are injected into."""
        pictures.write_images(self.images)
        folder = {**recipes.folder(self.images), "training.epochs": 6, "training.validate_every": 2}
        self.train("finished", FINISHED)
        self.train("other-seed", {**FINISHED, "training.seed": 7})
        self.train("wide", {**FINISHED, "model.embedding_dim": 32})
        self.train("long", {**ENDLESS, "training.epochs": 300})
        self.train("images-run", folder)
        for name, extended in [("finished", "extended"), ("images-run", "images-extended")]:
            shutil.copytree(self.folder / name, self.folder / extended)
            self.call("train", "--resume", "--run", str(self.folder / extended), "--set", f"training.epochs={EXTENDED_EPOCHS}")
        embedder, weights = self.folder / "embedder.safetensors", self.folder / "weights.safetensors"
        self.call("export", str(self.folder / "finished"), "--output", str(embedder))
        tensors = run_folder.Safetensors(embedder).tensors
        prefix = "backbone."
        tensors = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        run_folder.write_safetensors(weights, tensors)
        self.call("embed", str(embedder), "--images", str(self.images), "--output", str(self.folder / "embeddings.safetensors"))

    def environment(self, home):
        """The environment of a process. One thread: faults run at the same time."""
        return {"PATH": os.environ["PATH"], "HOME": str(home), "RAYON_NUM_THREADS": "1"}

    def train(self, name, settings):
        self.call("train", "--run", str(self.folder / name), *recipes.options(settings))

    def call(self, *arguments):
        """Runs a command that must succeed."""
        done = subprocess.run(
            [self.binary, *arguments], capture_output=True, text=True, errors="replace", env=self.environment(self.folder), cwd=self.folder
        )
        if done.returncode != 0:
            raise SystemExit(f"cannot prepare: {' '.join(arguments)} ended with status {done.returncode}: {done.stderr[-600:]}")


class Context:
    """The temporary folder of one fault, and what it needs."""

    def __init__(self, fixtures, number):
        self.fixtures, self.binary = fixtures, fixtures.binary
        self.work = fixtures.work / f"fault-{number}"
        self.home = self.work / "home"
        self.home.mkdir(parents=True)
        self.environment = fixtures.environment(self.home)
        self.wrapper, self.started, self.mounts = [], [], []
        self.user = None

    def close(self):
        """Ends processes, unmounts, and removes the folder."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill()
        for mounted in self.mounts:
            subprocess.run(["umount", "-l", mounted], capture_output=True, check=False)
        subprocess.run(["chmod", "-R", "u+rwX", self.work], capture_output=True, check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    # Programs

    def command(self, arguments, wrapper=()):
        return [*map(str, wrapper), *map(str, self.wrapper), str(self.binary), *map(str, arguments)]

    def loop(self, *arguments, shell=None, wrapper=(), environment=None, folder=None, seconds=PROCESS_LIMIT):
        """Runs the program to its end. With `shell`, bash runs it with redirections, such as `>/dev/full`."""
        command = self.command(arguments, wrapper)
        if shell is not None:
            command = ["bash", "-c", f'"$@" {shell}', "bash", *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(environment or {})},
            cwd=folder or self.work,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            raise Unhandled(f"did not end in {seconds:.0f} s: {errors[-300:].decode(errors='replace')}") from None
        return Ended(command, process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))

    def limited(self, limits, *arguments, **options):
        """Runs the program with limits of bash's `ulimit`, such as `-n 8`."""
        wrapper = ["bash", "-c", f'ulimit {limits} || exit 99; exec "$@"', "bash"]
        return self.loop(*arguments, wrapper=wrapper, **options)

    def start(self, *arguments, run=None, wrapper=(), environment=None):
        """Starts the program in the background."""
        log = self.work / f"log-{len(self.started)}"
        environment = {**self.environment, **(environment or {})}
        running = Running(self.command(arguments, wrapper), environment, self.work, log, run)
        self.started.append(running)
        return running

    # Trainings

    def train(self, settings, run="run", *more, **options):
        """Trains a run to its end."""
        return self.loop("train", "--run", self.work / run, *recipes.options(settings), *more, **options)

    def start_training(self, settings=ENDLESS, run="run", *more, **options):
        """Starts a training in the background."""
        run = self.work / run
        return self.start("train", "--run", run, *recipes.options(settings), *more, run=run, **options)

    def resume(self, run, *more, epochs=None, **options):
        """Resumes a run; with `epochs`, up to that epoch."""
        extended = [] if epochs is None else ["--set", f"training.epochs={epochs}"]
        return self.loop("train", "--resume", "--run", run, *extended, *more, **options)

    def start_resume(self, run, *more):
        """Resumes a run in the background."""
        return self.start("train", "--resume", "--run", run, *more, run=run)

    def copy(self, name, to="run"):
        """Copies a prepared run or file."""
        source, target = self.fixtures.folder / name, self.work / to
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        return target

    def fixture(self, name):
        """A prepared run or file, to read only."""
        return self.fixtures.folder / name

    # Checks

    @contextlib.contextmanager
    def unchanged(self, *folders):
        """Checks that the folders are the same afterwards, byte for byte."""
        before = [run_folder.snapshot(folder) for folder in folders]
        yield
        for folder, old in zip(folders, before):
            changes = run_folder.changes(old, run_folder.snapshot(folder))
            require(not changes, f"{folder.name}: {', '.join(sorted(changes)[:4])}")

    def refuses_to_resume(self, run, pattern, *more, statuses=USER_ERROR, epochs=EXTENDED_EPOCHS):
        """Checks that a run is not resumed, and not changed."""
        with self.unchanged(run):
            self.resume(run, *more, epochs=epochs).fails(statuses, pattern)

    def resumes(self, run, *more, pattern=None, reference="extended"):
        """Checks that a copy of a finished run can be extended, with the numbers of the prepared one."""
        ended = self.resume(run, *more, epochs=EXTENDED_EPOCHS).succeeds(pattern)
        self.same_history(run, reference)
        self.complete(run)
        return ended

    def same_history(self, run, reference):
        """Checks the measurements of a run."""
        differences = run_folder.compare_histories(run, self.fixture(reference))
        require(not differences, "; ".join(differences[:2]))

    def resumes_or_refuses(self, run, pattern, statuses=USER_ERROR, reference="extended"):
        """Checks that a run is resumed with the right numbers, or refused without a change."""
        before = run_folder.snapshot(run)
        ended = self.resume(run, epochs=EXTENDED_EPOCHS)
        if ended.status == OK:
            self.same_history(run, reference)
            return self.complete(run)
        ended.fails(statuses, pattern)
        changes = run_folder.changes(before, run_folder.snapshot(run))
        require(not changes, ", ".join(sorted(changes)[:4]))

    def continues(self, run, *more, reference="long", count=4):
        """Checks that an interrupted endless training can be resumed for some epochs, with the numbers of the
        prepared one."""
        trained = epochs(run)
        require(trained or run.is_dir(), "the run folder is missing")
        self.resume(run, *more, epochs=max(trained, 1) + count).succeeds()
        self.complete(run)
        if reference:
            expected = {line["epoch"]: line for line in run_folder.history(self.fixture(reference))}
            for line in run_folder.history(run):
                known = expected.get(line["epoch"], {})
                difference = known and run_folder.first_difference(known.get("training"), line.get("training"))
                require(not difference, f"epoch {line['epoch']} differs: {difference}")

    def continues_or_begins(self, run, settings, **options):
        """Checks a training that may have ended before the run began: then a new run in its folder must work."""
        if (run / run_folder.RECORD).exists():
            return self.continues(run, **options)
        self.train({**settings, "training.epochs": 2}, run).succeeds()
        return self.complete(run)

    def complete(self, run):
        """Checks that a finished run has every epoch once, finite checkpoints, and no other files."""
        numbers = [line["epoch"] for line in run_folder.history(run)]
        require(numbers == list(range(len(numbers))), f"recorded epochs: {numbers[:20]}")
        found = run_folder.checkpoints(run)
        require(found, "there is no checkpoint")
        for path in found:
            bad = run_folder.Safetensors(path).non_finite()
            require(not bad, f"{path.name} has values that are not finite: {bad[:2]}")
        unknown = [name for name in run_folder.unknown_files(run) if not name.startswith(run_folder.DIVERGED)]
        require(not unknown, f"files left over: {unknown[:4]}")

    def evaluates(self, run, *more, like=None):
        """Checks that a run can be evaluated, with the recall of another evaluation. Returns the recall."""
        ended = self.loop("evaluate", run, "--json", *more).succeeds()
        found = re.search(r'"recall"\s*:\s*(\{[^}]*\})', ended.output)
        require(found, f"no recall: {ended.tail()}")
        require(like is None or found[1] == like, f"the recall is {found[1]}, not {like}")
        return found[1]

    # Machines

    def tmpfs(self, options, name="disk"):
        """Mounts a file system in memory."""
        if os.geteuid() != 0:
            raise Skipped("mounting needs root")
        path = self.work / name
        path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skipped(f"cannot mount: {done.stderr.strip()}")
        self.mounts.append(path)
        return path

    def remount(self, path, options):
        """Changes a mount."""
        subprocess.run(["mount", "-o", f"remount,{options}", path], check=True, capture_output=True)

    def become_user(self):
        """Lets the following processes run without root's rights, as a user that owns this folder."""
        if os.geteuid() != 0:
            return self
        if not shutil.which("setpriv"):
            raise Skipped("setpriv is missing")
        with self.fixtures.lock:
            self.user = next(self.fixtures.users)
        self.wrapper = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--"]
        self.own()
        tried = subprocess.run([*self.wrapper, self.binary, "--version"], capture_output=True, check=False)
        if tried.returncode != 0:
            raise Skipped(f"another user cannot run {self.binary}")
        return self

    def own(self):
        """Gives the folder to the user."""
        if self.user is not None:
            subprocess.run(["chown", "-R", f"{self.user}:{self.user}", self.work], check=True)


def inject(fixtures, number, one):
    """Injects one fault. Returns (state, reason, seconds)."""
    started, context = time.monotonic(), Context(fixtures, number)
    try:
        one.inject(context)
        state, reason = "handled", ""
    except Unhandled as problem:
        state, reason = "not handled", str(problem)
    except Skipped as problem:
        state, reason = "skipped", str(problem)
    except (OSError, ValueError, LookupError, subprocess.SubprocessError, run_folder.Damaged) as problem:
        state, reason = "not handled", f"the check failed: {problem!r}"
    finally:
        context.close()
    return state, printable(reason.replace(str(fixtures.work), "WORK")), time.monotonic() - started


def printable(text):
    """A text in one line, with control characters and bytes that are not UTF-8 escaped."""
    text = " | ".join(text.split("\n")).encode(errors="backslashreplace").decode()
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
