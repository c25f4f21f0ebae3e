//! Numbers in few characters.

/// A number in at most ten characters.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        0.001..100_000.0 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

/// A number at an axis, without zeros at its end.
pub(super) fn label(value: f64) -> String {
    let text = number(value);
    match text.contains('e') || !text.contains('.') {
        true => text,
        false => text.trim_end_matches('0').trim_end_matches('.').to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_axes_are_short() {
        let labels = [0.0, 37.5, 100.0, 0.0575, 1e-5, 2e9].map(label);
        assert_eq!(labels, ["0", "37.5", "100", "0.0575", "1.00e-5", "2.00e9"]);
    }

    #[test]
    fn numbers_fit_ten_characters() {
        let numbers = [0.0, 0.5, -99_999.0, 1e-5, -2e9, f64::NAN].map(number);
        assert_eq!(
            numbers,
            ["0", "0.5000", "-99999.0000", "1.00e-5", "-2.00e9", "NaN"]
        );
    }
}
