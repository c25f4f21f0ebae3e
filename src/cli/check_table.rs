//! The table of the checks before a training.

use crate::training::{Check, CheckOutcome};

/// Width of the column of the names.
const NAME: usize = 13;
/// Width of the column of the outcomes.
const OUTCOME: usize = 7;

/// The checks as the lines of a table.
pub(super) fn lines(checks: &[Check]) -> Vec<String> {
    let line = |check: &Check| {
        let outcome = match check.outcome {
            CheckOutcome::Passed => "ok",
            CheckOutcome::Warning => "warning",
            CheckOutcome::Failed => "FAILED",
        };
        row(check.name, outcome, &check.message)
    };
    checks.iter().map(line).collect()
}

/// A row of the table.
pub(super) fn row(name: &str, outcome: &str, text: &str) -> String {
    format!("{name:NAME$}  {outcome:OUTCOME$}  {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_columns() {
        let check = |name, outcome| Check {
            name,
            outcome,
            message: "text".into(),
        };
        let checks = [
            check("data", CheckOutcome::Passed),
            check("configuration", CheckOutcome::Failed),
        ];
        assert_eq!(
            lines(&checks),
            [
                "data           ok       text",
                "configuration  FAILED   text"
            ]
        );
    }
}
