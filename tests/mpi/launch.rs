//! Starts processes with `mpirun`, and finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest time that a group needs to end after a failure.
pub(crate) const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Settings of a training that takes seconds: 12 drawn classes of 6 images, half of them for testing.
pub(crate) const SMALL: [&str; 8] = [
    "data.classes=12",
    "data.images_per_class=6",
    "batch.classes=5",
    "evaluation.protocol=\"published\"",
    "model.embedding_dim=8",
    "data.image_size=16",
    "data.resize=18",
    "training.validate_every=1",
];

/// `mpirun` with as many processes as asked for, whatever the machine has, and one thread each.
pub(crate) fn mpirun(directory: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .current_dir(directory)
        .args(["--oversubscribe", "--bind-to", "none"])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::null());
    command
}

/// `train` with the settings of [`SMALL`] and more.
pub(crate) fn train_arguments(run: &str, settings: &[&str]) -> Vec<String> {
    let binary = assert_cmd::cargo::cargo_bin("loop-dml");
    let mut arguments = vec![binary.to_string_lossy().into_owned()];
    arguments.extend(["train", "--backend", "cpu", "--run", run].map(String::from));
    for setting in SMALL.iter().chain(settings) {
        arguments.extend(["--set".to_string(), setting.to_string()]);
    }
    arguments
}

/// `train --resume` with settings.
pub(crate) fn resume_arguments(run: &str, settings: &[&str]) -> Vec<String> {
    let binary = assert_cmd::cargo::cargo_bin("loop-dml");
    let mut arguments = vec![binary.to_string_lossy().into_owned()];
    arguments.extend(["train", "--backend", "cpu", "--resume", "--run", run].map(String::from));
    for setting in settings {
        arguments.extend(["--set".to_string(), setting.to_string()]);
    }
    arguments
}

/// Runs `arguments` with so many processes, one of which is started without `mpirun`. Returns what they print.
pub(crate) fn run(directory: &Path, processes: usize, arguments: &[String]) -> String {
    let mut command = match processes {
        1 => {
            let mut command = Command::new(&arguments[0]);
            command.current_dir(directory).args(&arguments[1..]);
            command.env("RAYON_NUM_THREADS", "1");
            command
        }
        _ => {
            let mut command = mpirun(directory);
            command.args(["-n", &processes.to_string()]).args(arguments);
            command
        }
    };
    let output = command.output().expect("mpirun is installed (openmpi-bin)");
    let text = text(&output);
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A group of processes at work.
pub(crate) struct Group {
    mpirun: Child,
    directory: PathBuf,
}

impl Group {
    /// Starts `arguments` with so many processes.
    pub(crate) fn start(directory: &Path, processes: usize, arguments: &[String]) -> Self {
        let mut command = mpirun(directory);
        command.args(["-n", &processes.to_string()]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self {
            mpirun: command.spawn().expect("mpirun is installed (openmpi-bin)"),
            directory: directory.to_path_buf(),
        }
    }

    /// Waits until `run` has recorded more than `epochs` epochs.
    pub(crate) fn wait_for_epochs(&mut self, run: &str, epochs: usize) {
        let metrics = self.directory.join(run).join("metrics.jsonl");
        let recorded = || {
            let text = fs::read_to_string(&metrics).unwrap_or_default();
            text.lines().count()
        };
        let since = Instant::now();
        while recorded() <= epochs {
            let ended = self.mpirun.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before epoch {epochs}: {ended:?}");
            assert!(
                since.elapsed() < Duration::from_secs(120),
                "no epoch {epochs}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal to the process of this rank.
    pub(crate) fn signal(&self, rank: usize, signal: &str) {
        let process = self.process(rank).to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        assert!(status.unwrap().success());
    }

    /// The process of this rank: a descendant of `mpirun` in the working directory, which is the test's own.
    fn process(&self, rank: usize) -> u32 {
        let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let found = numbers.find(|number: &u32| {
            let folder = PathBuf::from(format!("/proc/{number}"));
            let environment = fs::read(folder.join("environ")).unwrap_or_default();
            let mut variables = environment.split(|&byte| byte == 0);
            let is_here = fs::read_link(folder.join("cwd"))
                .is_ok_and(|path| path == fs::canonicalize(&self.directory).unwrap());
            is_here && variables.any(|entry| entry == variable.as_bytes())
        });
        found.expect("the process runs")
    }

    /// Waits for the end, which must come within [`ENDS_WITHIN`]. Returns the exit status and what was printed.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let since = Instant::now();
        while self.mpirun.try_wait().unwrap().is_none() {
            if since.elapsed() > ENDS_WITHIN {
                let _ = self.mpirun.kill();
                panic!("it has not ended within {ENDS_WITHIN:?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        let output = self.mpirun.wait_with_output().unwrap();
        (output.status.code(), text(&output))
    }
}
