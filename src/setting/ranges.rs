//! Checks of ranges. Each error names a valid value.

use schemars::Schema;
use serde_json::Value;

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
        "give a finite number, at most 3.4e38 in size",
    ))
}

pub(crate) fn positive(key: &str, value: f64) -> Checked {
    let in_range = value as f32;
    if in_range > 0.0 && in_range.is_finite() {
        return Ok(());
    }
    let reason = match value > 0.0 && value.is_finite() {
        true => "give a number from 1.4e-45 to 3.4e38, the range in which networks compute",
        false => "give a finite number above 0",
    };
    Err(SettingError::value(key, value, reason))
}

pub(crate) fn not_negative(key: &str, value: f64) -> Checked {
    if value >= 0.0 {
        return finite(key, value);
    }
    Err(SettingError::value(
        key,
        value,
        "give a number of 0 or more",
    ))
}

/// Checks that `value` is from 0 to `maximum`.
pub(crate) fn up_to(key: &str, value: f64, maximum: f64) -> Checked {
    if (0.0..=maximum).contains(&value) {
        return Ok(());
    }
    let reason = format!("give a number from 0 to {maximum}");
    Err(SettingError::value(key, value, reason))
}

pub(crate) fn share(key: &str, value: f64) -> Checked {
    up_to(key, value, 1.0)
}

/// Checks that `value` is above 0 and below 1.
pub(crate) fn proper_share(key: &str, value: f64) -> Checked {
    if value as f32 > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        value,
        "give a number above 0 and below 1",
    ))
}

pub(crate) fn below_one(key: &str, value: f64) -> Checked {
    if value >= 0.0 && (value as f32) < 1.0 {
        return Ok(());
    }
    Err(SettingError::value(
        key,
        value,
        "give a number of 0 or more and below 1",
    ))
}

pub(crate) fn at_least_one(key: &str, value: f64) -> Checked {
    if value >= 1.0 {
        return finite(key, value);
    }
    Err(SettingError::value(
        key,
        value,
        "give a number of 1 or more",
    ))
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

/// Adds to the schema of a list that its items are above 0.
pub(crate) fn items_above_zero(schema: &mut Schema) {
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        items.insert("exclusiveMinimum".into(), 0.into());
    }
}

pub(crate) fn counts(values: &[usize]) -> toml::Value {
    toml::Value::Array(
        values
            .iter()
            .map(|&v| toml::Value::Integer(v as i64))
            .collect(),
    )
}
