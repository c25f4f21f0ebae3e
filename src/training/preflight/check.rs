//! The checks of a training and their results.

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The training can run.
    Passed,
    /// The training can run, but may not end as expected.
    Warning,
    /// The training cannot run.
    Failed,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, such as `data`.
    pub name: &'static str,
    /// The outcome.
    pub outcome: CheckOutcome,
    /// What was found, or the error.
    pub message: String,
}

/// The checks that were made, in their order.
#[derive(Debug, Clone, Default)]
pub(in crate::training) struct Checks(Vec<Check>);

impl Checks {
    /// Adds a check that passed.
    pub(in crate::training) fn passed(&mut self, name: &'static str, message: impl ToString) {
        self.add(name, CheckOutcome::Passed, message);
    }

    /// Adds a check with a warning.
    pub(in crate::training) fn warning(&mut self, name: &'static str, message: impl ToString) {
        self.add(name, CheckOutcome::Warning, message);
    }

    /// Adds a check that failed.
    pub(in crate::training) fn failed(&mut self, name: &'static str, error: impl ToString) {
        self.add(name, CheckOutcome::Failed, error);
    }

    /// Returns the checks.
    pub(in crate::training) fn as_slice(&self) -> &[Check] {
        &self.0
    }

    /// Returns the checks.
    pub(in crate::training) fn into_vec(self) -> Vec<Check> {
        self.0
    }

    fn add(&mut self, name: &'static str, outcome: CheckOutcome, message: impl ToString) {
        self.0.push(Check {
            name,
            outcome,
            message: message.to_string(),
        });
    }
}
