//! `sweep`: runs, results, interruptions, failures and errors.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{evaluate, loop_dml, refusal};

/// Seconds in all: drawn images, small networks.
const SET: &str = r#"
[set]
data.classes = 8
data.images_per_class = 8
data.image_size = 16
model.embedding_dim = 8
batch.classes = 2
evaluation.protocol = "published"
training.epochs = 2
"#;

/// Four runs: two cells with two seeds.
const AXES: &str = r#"
[axes]
negatives.name = ["none", "loop"]
training.seed = [1, 2]
[compare]
baseline = { negatives.name = "none" }
"#;

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

/// Standard output and standard error of a sweep that ends with this status.
fn sweep(folder: &Path, status: i32, arguments: &[&str]) -> (String, String) {
    let output = loop_dml(folder)
        .arg("sweep")
        .args(arguments)
        .assert()
        .code(status)
        .get_output()
        .clone();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let (stdout, _) = sweep(folder, 0, &[arguments, &["--results", "--json"]].concat());
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn four_runs_are_trained_averaged_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "base.toml", "[loss]\nname = \"triplet\"\n");
    write(
        folder,
        "a.toml",
        &format!("base = \"base.toml\"\noutput = \"runs\"\n{SET}{AXES}"),
    );
    let (listed, _) = sweep(folder, 0, &["a.toml", "--dry-run"]);
    assert!(listed.starts_with("none_seed-1 (new)\n  loop-dml train --config base.toml --set "));
    assert!(listed.ends_with("\n4 runs, all valid\n"), "{listed}");
    assert!(!folder.join("runs").exists());
    let (before, _) = sweep(folder, 0, &["a.toml", "--results"]);
    assert!(before.contains("\nloop            0 of 2 "), "{before}");

    let outputs = [
        "--csv",
        "r.csv",
        "--markdown",
        "r.md",
        "--html",
        "r.html",
        "--jobs",
        "2",
    ];
    let (table, messages) = sweep(folder, 0, &[&["a.toml"], &outputs[..]].concat());
    assert!(messages.starts_with("4 runs in runs: 0 finished, 4 to train, 2 at once\nestimate: "));
    assert!(
        messages.contains(", from a few steps of none_seed-1\n"),
        "{messages}"
    );
    assert!(messages.contains("\n[4/4] "), "{messages}");
    assert!(table.starts_with("negatives.name  runs "), "{table}");

    // The runs are those of `train`, and the results those that they recorded.
    let results = json(folder, &["a.toml"]);
    let cells = results["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2);
    let recall = |run: &str| evaluate(folder, run, &[])["1"].as_f64().unwrap();
    let [a, b, c, d] = ["none_seed-1", "none_seed-2", "loop_seed-1", "loop_seed-2"]
        .map(|name| recall(&format!("runs/{name}")));
    let close = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} and {expected}");
    };
    let cell = &cells[1];
    assert_eq!(cell["settings"]["negatives.name"], "loop");
    assert_eq!(cell["runs"][1], "runs/loop_seed-2");
    close(&cell["recall"]["1"]["mean"], (c + d) / 2.0);
    close(&cell["recall"]["1"]["std"], (c - d).abs() / 2f64.sqrt());
    close(&cell["difference"]["mean"], (c - a + d - b) / 2.0);
    close(&cell["difference"]["low"], (c - a).min(d - b));
    close(&cell["difference"]["high"], (c - a).max(d - b));
    assert_eq!(cells[0]["difference"], Value::Null);
    assert!(cell["map_at_r"]["mean"].is_number() && cell["seconds"].as_f64().unwrap() > 0.0);

    let csv = fs::read_to_string(folder.join("r.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(
        csv.contains("--set training.seed=1 --run runs/loop_seed-1"),
        "{csv}"
    );
    let markdown = fs::read_to_string(folder.join("r.md")).unwrap();
    assert!(markdown.contains("\n| none | 2 | "), "{markdown}");
    let html = fs::read_to_string(folder.join("r.html")).unwrap();
    assert!(html.contains(r#"<meta name="generator" content="loop-dml report "#));

    // Nothing is trained again, and only the page is replaced.
    let (again, messages) = sweep(folder, 0, &["a.toml", "--html", "r.html"]);
    assert_eq!(again, table);
    assert!(
        messages.starts_with("4 runs in runs: 4 finished, 0 to train"),
        "{messages}"
    );
    let message = refusal(folder, &["sweep", "a.toml", "--csv", "r.csv"]);
    assert!(
        message.contains("r.csv exists and is not overwritten"),
        "{message}"
    );

    // More seeds are added; other values do not fit.
    let more = format!("base = \"base.toml\"\noutput = \"runs\"\n{SET}{AXES}");
    write(folder, "more.toml", &more.replace("[1, 2]", "[1, 2, 3]"));
    let (_, messages) = sweep(folder, 0, &["more.toml"]);
    assert!(messages.contains("4 finished, 2 to train"), "{messages}");
    assert!(
        messages.contains(", from the time of 4 finished run(s)\n"),
        "{messages}"
    );
    let message = refusal(folder, &["sweep", "a.toml"]);
    assert!(
        message.contains(
            "runs does not fit the sweep: its run loop_seed-3 is not one of the sweep; restore"
        ),
        "{message}"
    );
    write(
        folder,
        "other.toml",
        &more.replace("epochs = 2", "epochs = 3"),
    );
    for arguments in [
        &["sweep", "other.toml"][..],
        &["sweep", "other.toml", "--results"],
    ] {
        let message = refusal(folder, arguments);
        let expected = "its run none_seed-1 has training.epochs = 2, and the sweep 3; restore";
        assert!(
            message.contains(expected) || message.contains("loop_seed-3"),
            "{message}"
        );
    }
}

#[test]
fn failed_run_is_reported_and_the_others_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Four classes train.
    let set = SET.replace("batch.classes = 2\n", "");
    let axes = "[axes]\nbatch.classes = [30, 2]\ntraining.seed = [1, 2]\n";
    write(folder, "a.toml", &format!("output = \"runs\"\n{set}{axes}"));
    let (table, messages) = sweep(folder, 1, &["a.toml"]);
    assert!(table.contains("\n30             0 of 2 "), "{table}");
    let lines: Vec<&str> = messages.lines().collect();
    let failures = lines
        .iter()
        .filter(|line| line.starts_with("classes-30_seed-"))
        .count();
    assert_eq!(failures, 2, "{messages}");
    let expected = "\nno estimate from a few steps of classes-30_seed-1: ";
    assert!(messages.contains(expected), "{messages}");
    let expected = "[1/4] classes-30_seed-1 FAILED: ";
    assert!(messages.contains(expected), "{messages}");
    assert!(messages.contains("batch.classes"), "{messages}");
    assert!(
        messages.contains("(log: runs/logs/classes-30_seed-1.log)"),
        "{messages}"
    );
    assert_eq!(
        *lines.last().unwrap(),
        "error: 2 of 4 runs failed; see above; run the same command again to retry them"
    );
    let log = fs::read_to_string(folder.join("runs/logs/classes-30_seed-1.log")).unwrap();
    assert!(log.starts_with("$ RAYON_NUM_THREADS="), "{log}");
    let (stdout, _) = sweep(folder, 1, &["a.toml", "--json"]);
    let results: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(results["failed"][1]["run"], "runs/classes-30_seed-2");
    assert_eq!(results["cells"][1]["finished"], 2);
}

#[test]
fn mistakes_in_the_file_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (text, expected) in [
        (
            "[axes]\n\"loss.names\" = [\"triplet\"]",
            "did you mean `loss.name`?",
        ),
        (
            "axis = 3\n[axes]\n\"training.seed\" = [1]",
            "did you mean `axes`?",
        ),
        ("[axes]\n\"training.seed\" = []", "is an empty list"),
        ("[axes]\n\"training.seed\" = [1, 1]", "1 is given twice"),
        (
            "base = \"none.toml\"\n[axes]\n\"training.seed\" = [1]",
            "none.toml does not exist",
        ),
        (
            "[axes]\n\"training.seed\" = [1]\n[compare]\nbaseline = { \"loss.name\" = \"triplet\" }",
            "`loss.name` is not an axis",
        ),
        (
            "[axes]\n\"negatives.name\" = [\"loop\"]\n[compare]\nbaseline = { \"negatives.name\" = \"none\" }",
            "\"none\" is not a value of the axis",
        ),
    ] {
        write(folder, "a.toml", text);
        let message = refusal(folder, &["sweep", "a.toml"]);
        assert!(message.starts_with("error: a.toml: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    // All combinations that the program refuses are in one message.
    let text = "[axes]\nbatch.images_per_class = [2, 3]\nnegatives.name = [\"none\", \"loop\", \"embedding-expansion\"]";
    write(folder, "a.toml", text);
    let (_, message) = sweep(folder, 2, &["a.toml"]);
    assert!(
        message.starts_with("error: a.toml: 2 of 6 runs are invalid; "),
        "{message}"
    );
    for name in [
        "images-per-class-3_loop",
        "images-per-class-3_embedding-expansion",
    ] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!folder.join("artifacts").exists());
    // An invalid base is reported once, and other folders are not used.
    write(folder, "base.toml", "[loss\n");
    write(
        folder,
        "a.toml",
        "base = \"base.toml\"\n[axes]\n\"training.seed\" = [1, 2]",
    );
    let (_, message) = sweep(folder, 2, &["a.toml"]);
    assert_eq!(
        message
            .matches("base.toml is not a valid configuration")
            .count(),
        1,
        "{message}"
    );
    write(folder, "a.toml", "[axes]\n\"training.seed\" = [1, 2]");
    fs::create_dir_all(folder.join("mine/seed-1")).unwrap();
    write(folder, "mine/seed-1/notes.txt", "mine");
    let message = refusal(folder, &["sweep", "a.toml", "--run", "mine"]);
    assert!(
        message.contains("its folder seed-1 is not a run"),
        "{message}"
    );
}

#[test]
fn sample_is_valid_and_prints_commands_that_a_shell_runs() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sweeps/quickstart.toml");
    let sample = sample.to_str().unwrap();
    let (listed, _) = sweep(folder.path(), 0, &[sample, "--dry-run", "--backend", "cpu"]);
    assert!(listed.ends_with("\n8 runs, all valid\n"), "{listed}");
    let command = listed.lines().nth(1).unwrap().trim();
    // The results give the same commands.
    let results = json(folder.path(), &[sample, "--backend", "cpu"]);
    assert_eq!(results["cells"][0]["commands"][0], command);
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let shorter = [
        "--set",
        "training.epochs=1",
        "--set",
        "training.validate_every=1",
    ];
    loop_dml(folder.path())
        .args(arguments)
        .args(shorter)
        .assert()
        .success();
    // The run was trained by hand with other epochs.
    let message = refusal(folder.path(), &["sweep", sample]);
    assert!(
        message.contains("has training.epochs = 1, and the sweep 20"),
        "{message}"
    );
}

#[cfg(unix)]
mod interrupted {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::support::spawnable;

    /// Runs that are long enough to be killed in one.
    fn longer(folder: &Path) {
        let text = format!("output = \"runs\"\n{SET}{AXES}");
        let epochs = if cfg!(debug_assertions) { 30 } else { 300 };
        let epochs = format!("epochs = {epochs}\ntraining.validate_every = 10");
        write(folder, "a.toml", &text.replace("epochs = 2", &epochs));
    }

    fn start(folder: &Path, arguments: &[&str]) -> Child {
        spawnable(folder)
            .arg("sweep")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_true() {
            assert!(start.elapsed() < Duration::from_secs(120), "no {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of recorded epochs of a run, with the untrained network.
    fn epochs(folder: &Path, run: &str) -> usize {
        let metrics = fs::read_to_string(folder.join("runs").join(run).join("metrics.jsonl"));
        metrics.map_or(0, |text| text.lines().count())
    }

    fn signal(child: &Child, name: &str) {
        let kill = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// The table without the last column, the time.
    fn without_time(table: &str) -> String {
        let lines: Vec<&str> = table.lines().collect();
        let end = lines[0].chars().count() - lines[0].chars().rev().position(|c| c == 'l').unwrap();
        let cut = |line: &&str| match line.contains("  ") {
            true => line.chars().take(end).collect(),
            false => line.to_string(),
        };
        lines.iter().map(cut).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn sweep_that_is_killed_twice_has_the_results_of_an_uninterrupted_one() {
        let whole = tempfile::tempdir().unwrap();
        longer(whole.path());
        let (expected, _) = sweep(whole.path(), 0, &["a.toml"]);

        let killed = tempfile::tempdir().unwrap();
        let folder = killed.path();
        longer(folder);
        for run in ["none_seed-1", "loop_seed-1"] {
            let mut child = start(folder, &["a.toml"]);
            wait_for("epoch", || epochs(folder, run) >= 3);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!folder.join("runs").join(run).join("result.json").exists());
        }
        let (table, messages) = sweep(folder, 0, &["a.toml"]);
        assert!(messages.contains("\nloop_seed-1: resumed\n"), "{messages}");
        assert_eq!(without_time(&table), without_time(&expected));
        let results = |folder: &Path| {
            let mut results = json(folder, &["a.toml"]);
            for cell in results["cells"].as_array_mut().unwrap() {
                cell.as_object_mut().unwrap().remove("seconds").unwrap();
            }
            results.to_string()
        };
        assert_eq!(results(folder), results(whole.path()));
        for run in ["none_seed-1", "none_seed-2", "loop_seed-1", "loop_seed-2"] {
            let path = |folder: &Path| folder.join("runs").join(run);
            let result = |folder: &Path| fs::read(path(folder).join("result.json")).unwrap();
            assert_eq!(result(folder), result(whole.path()), "{run}");
        }
    }

    #[test]
    fn termination_stops_the_runs_in_order_and_one_sweep_uses_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        longer(folder);
        let mut child = start(folder, &["a.toml", "--jobs", "2"]);
        let runs = ["none_seed-1", "none_seed-2"];
        wait_for("epochs", || runs.iter().all(|run| epochs(folder, run) >= 3));
        let message = refusal(folder, &["sweep", "a.toml"]);
        assert!(
            message.starts_with("error: runs is in use by another sweep; wait for it to end"),
            "{message}"
        );
        signal(&child, "-TERM");
        let messages = BufReader::new(child.stderr.take().unwrap());
        let messages: Vec<String> = messages.lines().map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{messages:?}");
        assert_eq!(
            messages.last().unwrap(),
            "error: interrupted; run the same command again to continue"
        );
        for run in runs {
            let log = fs::read_to_string(folder.join(format!("runs/logs/{run}.log"))).unwrap();
            let end = format!(
                "error: interrupted; resume with: loop-dml train --resume --run runs/{run}\n"
            );
            assert!(log.ends_with(&end), "{log}");
        }
        let (listed, _) = sweep(folder, 0, &["a.toml", "--dry-run"]);
        assert!(listed.starts_with("none_seed-1 (started, "), "{listed}");
        assert!(listed.contains("loop_seed-1 (new)"), "{listed}");
    }
}
