//! `loop-dml devices`, and `--device`.

use std::path::Path;

use serde_json::Value;

use crate::support::loop_dml;
#[cfg(feature = "cpu")]
use crate::support::refusal;

const LOSS: [&str; 5] = [
    "loss",
    "--loss=hphn-triplet",
    "--negatives=loop",
    "--embeddings",
    concat!(env!("CARGO_MANIFEST_DIR"), "/assets/batch.safetensors"),
];

/// Returns the report of each backend by `devices --json`, run with environment variables.
fn report(directory: &Path, variables: &[(&str, &str)]) -> Vec<Value> {
    let output = loop_dml(directory)
        .args(["devices", "--json"])
        .envs(variables.iter().copied())
        .assert()
        .success()
        .get_output()
        .clone();
    let mut object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(backends) = object["backends"].take() else {
        panic!("`backends` is a list");
    };
    backends
}

fn backend<'a>(backends: &'a [Value], name: &str) -> &'a Value {
    backends
        .iter()
        .find(|backend| backend["name"] == name)
        .unwrap()
}

#[test]
fn json_has_every_backend_with_the_same_keys() {
    let directory = tempfile::tempdir().unwrap();
    let backends = report(directory.path(), &[]);
    let names: Vec<&str> = backends
        .iter()
        .map(|backend| backend["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cuda", "wgpu", "cpu"]);
    for backend in &backends {
        assert!(backend["compiled"].is_boolean(), "{backend}");
        let works = backend["works"].as_bool().unwrap();
        let devices = backend["devices"].as_array().unwrap();
        assert!(!devices.is_empty() || !works, "{backend}");
        assert!(works || backend["message"].is_string(), "{backend}");
        for (index, device) in devices.iter().enumerate() {
            assert_eq!(device["index"], index);
            assert!(device["name"].is_string(), "{device}");
            let memory = &device["memory_bytes"];
            assert!(memory.is_u64() || memory.is_null(), "{device}");
        }
    }
}

#[cfg(feature = "cpu")]
#[test]
fn processor_works() {
    let directory = tempfile::tempdir().unwrap();
    let backends = report(directory.path(), &[]);
    let cpu = backend(&backends, "cpu");
    assert_eq!(cpu["works"], true, "{cpu}");
    assert_eq!(cpu["message"], Value::Null);
    assert_eq!(cpu["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn text_has_a_row_for_every_backend() {
    let directory = tempfile::tempdir().unwrap();
    let output = loop_dml(directory.path())
        .arg("devices")
        .assert()
        .success()
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("backend"), "{text}");
    for name in ["cuda", "wgpu", "cpu"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
    }
}

#[cfg(feature = "cpu")]
#[test]
fn processor_has_only_device_0() {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = LOSS.to_vec();
    arguments.extend(["--backend", "cpu", "--device", "1"]);
    let message = refusal(directory.path(), &arguments);
    assert!(message.contains("the processor is device 0"), "{message}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn backend_that_is_not_compiled_in_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let backends = report(directory.path(), &[]);
    let cuda = backend(&backends, "cuda");
    assert_eq!(cuda["compiled"], false);
    assert_eq!(cuda["works"], false);
    let message = cuda["message"].as_str().unwrap();
    assert!(message.contains("--features cuda"), "{message}");
}

/// No GPU is visible: the driver finds no GPU, or is missing.
#[cfg(feature = "cuda")]
#[test]
fn cuda_without_a_gpu_is_one_message() {
    let hidden = ("CUDA_VISIBLE_DEVICES", "-1");
    let directory = tempfile::tempdir().unwrap();
    let backends = report(directory.path(), &[hidden]);
    let cuda = backend(&backends, "cuda");
    assert_eq!(cuda["compiled"], true);
    assert_eq!(cuda["works"], false);
    let reason = cuda["message"].as_str().unwrap();
    assert!(reason.contains("NVIDIA driver"), "{reason}");

    let output = loop_dml(directory.path())
        .args(LOSS)
        .args(["--backend", "cuda"])
        .env(hidden.0, hidden.1)
        .assert()
        .code(2)
        .get_output()
        .clone();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, format!("error: {reason}\n"));
    assert!(output.stdout.is_empty());
}

#[cfg(all(feature = "wgpu", target_os = "linux"))]
mod wgpu {
    use super::*;

    /// Replaces the descriptions of installed drivers that the Vulkan loader reads.
    const NO_DRIVERS: [(&str, &str); 2] = [
        ("VK_DRIVER_FILES", "/no/driver.json"),
        ("VK_ICD_FILENAMES", "/no/driver.json"),
    ];

    /// Runs the loss on wgpu with `more` arguments and a cache folder, and returns the exit status
    /// and standard error. As on a server, `XDG_RUNTIME_DIR` is not set, for which drivers print errors.
    fn run(directory: &Path, more: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let output = loop_dml(directory)
            .args(LOSS)
            .args(["--backend", "wgpu"])
            .args(more)
            .env("XDG_CACHE_HOME", directory.join("cache"))
            .env_remove("XDG_RUNTIME_DIR")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), text)
    }

    fn has_device(directory: &Path) -> bool {
        let backends = report(directory, &[]);
        !backend(&backends, "wgpu")["devices"]
            .as_array()
            .unwrap()
            .is_empty()
    }

    #[test]
    fn every_listed_device_works() {
        let directory = tempfile::tempdir().unwrap();
        let backends = report(directory.path(), &[]);
        let wgpu = backend(&backends, "wgpu");
        assert_eq!(wgpu["compiled"], true);
        for device in wgpu["devices"].as_array().unwrap() {
            assert_eq!(device["works"], true, "{device}");
        }
    }

    #[test]
    fn missing_graphics_driver_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let backends = report(directory.path(), &NO_DRIVERS);
        let wgpu = backend(&backends, "wgpu");
        assert_eq!(wgpu["works"], false, "{wgpu}");
        assert_eq!(wgpu["devices"].as_array().unwrap().len(), 0);
        let reason = wgpu["message"].as_str().unwrap();
        assert!(reason.contains("graphics driver"), "{reason}");

        let (status, message) = run(directory.path(), &[], &NO_DRIVERS);
        assert_eq!(status, 2, "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("graphics driver"), "{message}");
    }

    #[test]
    fn device_that_is_not_listed_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (status, message) = run(directory.path(), &["--device", "99"], &[]);
        assert_eq!(status, 2, "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("device 99"), "{message}");
    }

    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    #[test]
    fn kernels_are_cached_and_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        if !has_device(directory.path()) {
            eprintln!("skipped: no wgpu device on this machine");
            return;
        }
        // By default CubeCL would write them to `target` beside this file.
        std::fs::write(directory.path().join("Cargo.toml"), "").unwrap();
        // Times fewer kernels: a software driver compiles each for seconds.
        let minimal = [("CUBECL_AUTOTUNE_LEVEL", "minimal")];
        let (status, first) = run(directory.path(), &[], &minimal);
        assert_eq!(status, 0, "{first}");
        assert!(first.contains("for the first time"), "{first}");
        assert!(directory.path().join("cache/loop-dml/kernels").is_dir());
        assert!(!directory.path().join("target").exists());
        let (status, second) = run(directory.path(), &[], &minimal);
        assert_eq!(status, 0, "{second}");
        assert!(!second.contains("for the first time"), "{second}");
    }
}

#[cfg(feature = "cpu")]
#[test]
fn processor_refuses_autotuning() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [&LOSS[..], &["--backend", "cpu", "--autotune"]].concat();
    let error = refusal(directory.path(), &arguments);
    assert_eq!(
        error.trim_end(),
        "error: --autotune is for GPU backends; choose one with --backend, or leave out --autotune"
    );
}
