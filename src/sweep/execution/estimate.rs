//! The time of a run, from a few of its steps.

use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use super::child::{THREADS, single_process};
use super::{Execution, POLL_INTERVAL};
use crate::cancellation::CancellationToken;
use crate::sweep::SweepError;
use crate::sweep::plan::{PlannedRun, Sweep};

impl Execution {
    /// The seconds of a new run, which `train --dry-run` estimates, or why it cannot.
    ///
    /// # Errors
    /// If this program cannot be started, or `cancellation` is requested.
    pub fn estimate(
        &self,
        sweep: &Sweep,
        run: &PlannedRun,
        cancellation: &CancellationToken,
    ) -> Result<Result<f64, String>, SweepError> {
        let process = single_process(&self.program)
            .args(sweep.arguments(run))
            .args(&self.arguments)
            .args(["--dry-run", "--json"])
            .env(THREADS, self.threads_of_a_run().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.map_err(|source| SweepError::Program {
            program: self.program.clone(),
            source,
        })?;
        // The output is shorter than a pipe's buffer.
        while let Ok(None) = process.try_wait() {
            if cancellation.is_cancelled() {
                let _ = process.kill();
                let _ = process.wait();
                return Err(SweepError::Cancelled);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let mut json = Vec::new();
        if let Some(mut stdout) = process.stdout.take() {
            let _ = stdout.read_to_end(&mut json);
        }
        let result: Value = serde_json::from_slice(&json).unwrap_or_default();
        if let Some(seconds) = result["estimate"]["seconds"].as_f64() {
            return Ok(Ok(seconds));
        }
        let checks = result["checks"].as_array().into_iter().flatten();
        let mut failed = checks.filter(|check| check["ok"] == false);
        let message = failed.find_map(|check| check["message"].as_str());
        Ok(Err(message.unwrap_or("the dry run failed").to_string()))
    }
}
