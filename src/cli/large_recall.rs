//! K of Recall@K above the number of images among which a query is searched. Those that the user did not choose are
//! left out with a warning.

/// Returns the K up to `searched`.
pub(super) fn within(ks: &[usize], searched: usize) -> Vec<usize> {
    ks.iter().copied().filter(|&k| k <= searched).collect()
}

/// Warns that the K above `searched` are left out, if there are some.
pub(super) fn warn_left_out(ks: &[usize], searched: usize) {
    let left_out: Vec<usize> = ks.iter().copied().filter(|&k| k > searched).collect();
    if !left_out.is_empty() {
        tracing::warn!(
            "Recall@{} is left out, because a query is searched among {searched} image(s)",
            list(&left_out)
        );
    }
}

/// Returns the numbers as `--recall` accepts them.
pub(super) fn list(ks: &[usize]) -> String {
    let ks: Vec<String> = ks.iter().map(ToString::to_string).collect();
    ks.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_equal_to_the_images_searched_is_kept() {
        assert_eq!(within(&[1, 2, 4, 8], 4), [1, 2, 4]);
        assert_eq!(list(&[1, 10, 100]), "1,10,100");
    }
}
