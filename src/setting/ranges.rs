//! Checks of ranges. Each error names a valid value.

use toml::Value;

use super::SettingError;

/// The result of a check.
pub type Checked = Result<(), SettingError>;

pub(crate) fn at_least(key: &str, value: usize, minimum: usize) -> Checked {
    if value >= minimum {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        value as i64,
        format!("give {minimum} or more"),
    ))
}

pub(crate) fn at_most(key: &str, value: usize, maximum: usize) -> Checked {
    if value <= maximum {
        return Ok(());
    }
    let reason = format!("give {maximum} or less");
    Err(SettingError::value(key, value as i64, reason))
}

pub(crate) fn even(key: &str, value: usize) -> Checked {
    if value.is_multiple_of(2) {
        return Ok(());
    }
    let reason = format!(
        "must be even, because images are paired; give {} or {}",
        value - 1,
        value + 1
    );
    Err(SettingError::value(key, value as i64, reason))
}

/// Checks that `value` is finite in single precision, in which networks compute.
pub(crate) fn finite(key: &str, value: f64) -> Checked {
    if (value as f32).is_finite() {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        value,
        "give a finite number within the range of f32",
    ))
}

pub(crate) fn positive(key: &str, value: f64) -> Checked {
    finite(key, value)?;
    if value as f32 > 0.0 {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        value,
        "give a number above 0 within the range of f32",
    ))
}

pub(crate) fn not_negative(key: &str, value: f64) -> Checked {
    finite(key, value)?;
    if value >= 0.0 {
        return Ok(());
    }
    Err(SettingError::value(key, value, "give 0 or more"))
}

pub(crate) fn share(key: &str, value: f64) -> Checked {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(SettingError::value(key, value, "give a number from 0 to 1"))
}

pub(crate) fn below_one(key: &str, value: f64) -> Checked {
    share(key, value)?;
    if (value as f32) < 1.0 {
        return Ok(());
    }
    Err(SettingError::value(key, value, "give less than 1"))
}

pub(crate) fn at_least_one(key: &str, value: f64) -> Checked {
    finite(key, value)?;
    if value >= 1.0 {
        return Ok(());
    }
    Err(SettingError::value(key, value, "give 1 or more"))
}

pub(crate) fn increasing(key: &str, values: &[usize]) -> Checked {
    if values.first() != Some(&0) && values.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        counts(values),
        "give increasing numbers above 0",
    ))
}

pub(crate) fn counts(values: &[usize]) -> Value {
    Value::Array(values.iter().map(|&v| Value::Integer(v as i64)).collect())
}
