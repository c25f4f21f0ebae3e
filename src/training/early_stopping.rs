//! When training stops before its last epoch.

/// Whether training stops after the evaluation of `epoch`: Recall@1 has not risen for `patience` epochs.
/// Never without `patience`.
pub(super) fn should_stop(epoch: usize, best: Option<usize>, patience: Option<usize>) -> bool {
    match (best, patience) {
        (Some(best), Some(patience)) => epoch >= best.saturating_add(patience),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_stops_after_patience_epochs_without_a_higher_recall() {
        let stops = |epoch| should_stop(epoch, Some(4), Some(3));
        assert_eq!([4, 6, 7, 9].map(stops), [false, false, true, true]);
        assert!(!should_stop(100, Some(4), None));
        assert!(!should_stop(100, None, Some(3)));
    }
}
