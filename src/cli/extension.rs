//! The extension of an output file.

use std::path::Path;

use super::CliError;
use crate::setting::SettingError;

/// Checks that the file of `option` has the only extension of its format.
///
/// # Errors
/// If it has another one, or none.
pub(super) fn check_extension(option: &str, path: &Path, extension: &str) -> Result<(), CliError> {
    let found = path.extension();
    if found.is_some_and(|found| found.eq_ignore_ascii_case(extension)) {
        return Ok(());
    }
    let format = extension.to_uppercase();
    let reason = format!("this file is written as {format}; use the extension .{extension}");
    Err(SettingError::value(option, path.display().to_string(), reason).into())
}
