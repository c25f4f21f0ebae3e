//! Which epoch is the best, and when training stops before its last epoch.

use super::measured::Score;

/// The epoch with the greatest score; the first of several.
pub(super) fn best_epoch(scores: impl Iterator<Item = (usize, Score)>) -> Option<usize> {
    scores
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(epoch, _)| epoch)
}

/// Whether training stops after the evaluation of `epoch`: for `patience` epochs, none was better than `best`.
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

    fn best(scores: &[(usize, f64, Option<f64>)]) -> Option<usize> {
        best_epoch(scores.iter().map(|&(epoch, recall_at_1, map_at_r)| {
            let score = Score {
                recall_at_1,
                map_at_r,
            };
            (epoch, score)
        }))
    }

    #[test]
    fn recall_at_1_decides_and_map_at_r_between_equals() {
        let map = Some;
        assert_eq!(best(&[(1, 0.6, map(0.9)), (2, 0.7, map(0.1))]), Some(2));
        assert_eq!(
            best(&[(1, 1.0, map(0.7)), (2, 1.0, map(0.8)), (3, 0.9, map(0.9))]),
            Some(2)
        );
    }

    #[test]
    fn first_of_equal_epochs_is_the_best() {
        let same = Some(0.5);
        assert_eq!(
            best(&[
                (1, 0.2, same),
                (2, 0.6, same),
                (3, 0.6, same),
                (4, 0.5, same)
            ]),
            Some(2)
        );
        assert_eq!(best(&[(1, 0.6, None), (2, 0.6, None)]), Some(1));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn epoch_that_records_map_at_r_is_better_than_an_equal_one_that_does_not() {
        assert_eq!(
            best(&[(1, 0.6, None), (2, 0.6, Some(0.1)), (3, 0.6, None)]),
            Some(2)
        );
    }

    #[test]
    fn training_stops_after_patience_epochs_without_a_better_one() {
        let stops = |epoch| should_stop(epoch, Some(4), Some(3));
        assert_eq!([4, 6, 7, 9].map(stops), [false, false, true, true]);
        assert!(!should_stop(100, Some(4), None));
        assert!(!should_stop(100, None, Some(3)));
    }
}
