//! Which epoch is the best, and when training stops before its last epoch.

/// The epoch with the highest Recall@1; the first of several.
pub(super) fn best_epoch(recalls: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    recalls
        .fold(
            None,
            |best: Option<(usize, f64)>, (epoch, recall)| match best {
                Some((_, highest)) if recall <= highest => best,
                _ => Some((epoch, recall)),
            },
        )
        .map(|(epoch, _)| epoch)
}

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
    fn first_of_equal_epochs_is_the_best() {
        let recalls = [(1, 0.2), (2, 0.6), (3, 0.6), (4, 0.5)];
        assert_eq!(best_epoch(recalls.into_iter()), Some(2));
        assert_eq!(best_epoch([].into_iter()), None);
    }

    #[test]
    fn training_stops_after_patience_epochs_without_a_higher_recall() {
        let stops = |epoch| should_stop(epoch, Some(4), Some(3));
        assert_eq!([4, 6, 7, 9].map(stops), [false, false, true, true]);
        assert!(!should_stop(100, Some(4), None));
        assert!(!should_stop(100, None, Some(3)));
    }
}
