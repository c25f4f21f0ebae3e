//! The losses by their published formulas: plain loops in `f64` over embeddings, which share no code
//! with the code under test.

use super::{
    ContrastiveLoss, HphnTripletLoss, LiftedStructureLoss, Loss, MultiSimilarityLoss, NPairLoss,
    TripletLoss, Triplets,
};
use crate::geometry::Measure;
use crate::geometry::oracle::*;
use crate::negatives::{LoopAnchors, LoopPairs, Negatives, Space};

/// An anchor with its comparisons.
pub(super) struct Anchor {
    /// Values, and the index of the positive if it is an anchor.
    pub(super) positives: Vec<(f64, Option<usize>)>,
    /// Values, and the index of the negative among the anchors.
    pub(super) negatives: Vec<(f64, usize)>,
    squared_length: f64,
}

impl Anchor {
    pub(super) fn is_counted(&self) -> bool {
        !self.positives.is_empty() && !self.negatives.is_empty()
    }

    pub(super) fn hardest_positive(&self, measure: Measure) -> f64 {
        farthest(measure, self.positive_values().into_iter())
    }

    pub(super) fn hardest_negative(&self, measure: Measure) -> f64 {
        nearest(measure, self.negative_values().into_iter())
    }

    fn positive_values(&self) -> Vec<f64> {
        self.positives.iter().map(|(value, _)| *value).collect()
    }

    fn negative_values(&self) -> Vec<f64> {
        self.negatives.iter().map(|(value, _)| *value).collect()
    }
}

fn value(measure: Measure, x: &[f64], y: &[f64]) -> f64 {
    match measure {
        Measure::Distance => point_distance(x, y),
        Measure::InnerProduct => dot(x, y),
    }
}

/// The value of the nearest, most similar comparison.
fn nearest(measure: Measure, values: impl Iterator<Item = f64>) -> f64 {
    match measure {
        Measure::Distance => values.fold(f64::INFINITY, f64::min),
        Measure::InnerProduct => values.fold(f64::NEG_INFINITY, f64::max),
    }
}

/// The value of the farthest, least similar comparison.
fn farthest(measure: Measure, values: impl Iterator<Item = f64>) -> f64 {
    match measure {
        Measure::Distance => values.fold(f64::NEG_INFINITY, f64::max),
        Measure::InnerProduct => values.fold(f64::INFINITY, f64::min),
    }
}

/// Creates the anchors of a batch whose classes consist of pairs of rows. `rows` have unit length on
/// the sphere.
pub(super) fn anchors(
    strategy: Negatives,
    rows: &[Vec<f64>],
    labels: &[i64],
    space: Space,
    measure: Measure,
) -> Vec<Anchor> {
    let images = 0..rows.len();
    let of_images = |points: Option<usize>| {
        let owned = |i: usize| owned_points(rows, i, points.unwrap_or(0), space);
        let own: Vec<_> = images.clone().map(owned).collect();
        images
            .clone()
            .map(|i| Anchor {
                positives: images
                    .clone()
                    .filter(|&j| j != i && labels[j] == labels[i])
                    .map(|j| (value(measure, &rows[i], &rows[j]), Some(j)))
                    .collect(),
                negatives: images
                    .clone()
                    .filter(|&j| labels[j] != labels[i])
                    .map(|j| {
                        let pairs = own[i]
                            .iter()
                            .flat_map(|p| own[j].iter().map(move |q| value(measure, p, q)));
                        (nearest(measure, pairs), j)
                    })
                    .collect(),
                squared_length: dot(&rows[i], &rows[i]),
            })
            .collect()
    };
    match strategy {
        Negatives::None => of_images(None),
        Negatives::EmbeddingExpansion { points } => of_images(Some(points)),
        Negatives::Loop(variant) => {
            let pairs = pairs_of(variant.pairs, labels);
            let curve = |[x, y]: [usize; 2]| [&rows[x][..], &rows[y][..]];
            // The nearest of curves of different classes.
            let compared = |from: &[[usize; 2]]| -> Vec<Vec<f64>> {
                let of = |p: &[usize; 2]| {
                    let value = |q: &[usize; 2]| match labels[p[0]] == labels[q[0]] {
                        true => f64::NAN,
                        false => curves(curve(*p), curve(*q), space, measure),
                    };
                    pairs.iter().map(value).collect()
                };
                from.iter().map(of).collect()
            };
            let ending_in = |i: usize| -> Vec<usize> {
                let ending = pairs.iter().enumerate();
                ending
                    .filter(|(_, pair)| pair.contains(&i))
                    .map(|(p, _)| p)
                    .collect()
            };
            let points: Vec<_> = images.clone().map(|i| [i, i]).collect();
            if variant.anchors == LoopAnchors::Pairs {
                return pair_anchors(rows, labels, &pairs, &compared(&pairs), measure);
            }
            let as_points = variant.anchors == LoopAnchors::Points;
            let values = compared(if as_points { &points } else { &pairs });
            let own = |i: usize| if as_points { vec![i] } else { ending_in(i) };
            let mut anchors = of_images(None);
            for (i, anchor) in anchors.iter_mut().enumerate() {
                let own = own(i);
                anchor.negatives.retain_mut(|(value, j)| {
                    let others = ending_in(*j);
                    let values = own
                        .iter()
                        .flat_map(|&p| others.iter().map(|&q| values[p][q]).collect::<Vec<_>>());
                    *value = nearest(measure, values);
                    !own.is_empty() && !others.is_empty()
                });
            }
            anchors
        }
    }
}

/// The pairs as anchors, for the values of every two of different classes.
fn pair_anchors(
    rows: &[Vec<f64>],
    labels: &[i64],
    pairs: &[[usize; 2]],
    values: &[Vec<f64>],
    measure: Measure,
) -> Vec<Anchor> {
    let anchor = |(p, members): (usize, &[usize; 2])| {
        let of_class = members.iter().flat_map(|&member| {
            (0..rows.len())
                .filter(move |&j| j != member && labels[j] == labels[member])
                .map(move |j| value(measure, &rows[member], &rows[j]))
        });
        let others = (0..pairs.len()).filter(|&q| labels[pairs[q][0]] != labels[members[0]]);
        Anchor {
            positives: vec![(farthest(measure, of_class), None)],
            negatives: others.map(|q| (values[p][q], q)).collect(),
            squared_length: members.map(|m| dot(&rows[m], &rows[m])).iter().sum::<f64>() / 2.0,
        }
    };
    pairs.iter().enumerate().map(anchor).collect()
}

/// The pairs of a batch whose classes are adjacent.
fn pairs_of(pairs: LoopPairs, labels: &[i64]) -> Vec<[usize; 2]> {
    let rows = 0..labels.len();
    let all = rows.flat_map(|i| (i + 1..labels.len()).map(move |j| [i, j]));
    let of_class = all.filter(|&[i, j]| labels[i] == labels[j]);
    match pairs {
        LoopPairs::Consecutive => of_class
            .filter(|&[i, j]| i % 2 == 0 && j == i + 1)
            .collect(),
        LoopPairs::All => of_class.collect(),
    }
}

/// The image and its inner points (k x₂ + (n + 1 − k) x₁)/(n + 1), k = 1 … n.
fn owned_points(rows: &[Vec<f64>], image: usize, points: usize, space: Space) -> Vec<Vec<f64>> {
    // A batch of an odd number of images has no inner points.
    let x = &rows[image];
    let other = rows.get(image ^ 1).unwrap_or(x);
    let whole = (points + 1) as f64;
    (0..=points)
        .map(|k| {
            let k = k as f64;
            let blend = x.iter().zip(other);
            let point: Vec<f64> = blend
                .map(|(x, other)| (k * other + (whole - k) * x) / whole)
                .collect();
            match space {
                Space::Sphere => unit(&point),
                Space::Euclidean => point,
            }
        })
        .collect()
}

/// The closest approach of the curves through two pairs.
fn curves(x: [&[f64]; 2], y: [&[f64]; 2], space: Space, measure: Measure) -> f64 {
    match (space, measure) {
        (Space::Sphere, Measure::Distance) => arc_distance(x, y),
        (Space::Sphere, Measure::InnerProduct) => 1.0 - arc_distance(x, y).powi(2) / 2.0,
        (Space::Euclidean, Measure::Distance) => segment_distance(x, y),
        (Space::Euclidean, Measure::InnerProduct) => {
            let ends = x.iter().flat_map(|p| y.iter().map(move |q| dot(p, q)));
            ends.fold(f64::NEG_INFINITY, f64::max)
        }
    }
}

/// Computes the loss of anchor `i`.
pub(super) fn loss(loss: &Loss, anchors: &[Anchor], i: usize) -> f64 {
    let anchor = &anchors[i];
    match loss {
        Loss::Triplet(loss) => triplet(loss, anchors, i),
        Loss::HphnTriplet(HphnTripletLoss {
            margin,
            soft_margin,
        }) => {
            let positive = farthest(Measure::Distance, anchor.positive_values().into_iter());
            let negative = nearest(Measure::Distance, anchor.negative_values().into_iter());
            hinge(positive - negative, *margin, *soft_margin)
        }
        Loss::LiftedStructure(loss) => lifted_structure(loss, anchors, i),
        Loss::NPair(NPairLoss { l2_penalty }) => {
            let of_positive = |positive: &f64| {
                let terms = anchor.negative_values();
                let terms = terms.iter().map(|negative| (negative - positive).exp());
                (1.0 + terms.sum::<f64>()).ln()
            };
            mean(anchor.positive_values().iter().map(of_positive))
                + l2_penalty * anchor.squared_length
        }
        Loss::MultiSimilarity(loss) => multi_similarity(loss, anchor),
        Loss::Contrastive(loss) => contrastive(loss, anchor),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn hinge(excess: f64, margin: f64, soft_margin: bool) -> f64 {
    if soft_margin {
        excess.exp().ln_1p()
    } else {
        (excess + margin).max(0.0)
    }
}

fn triplet(loss: &TripletLoss, anchors: &[Anchor], i: usize) -> f64 {
    let negatives = anchors[i].negative_values();
    let of_positive = |positive: f64| {
        let chosen = match loss.triplets {
            Triplets::Hardest => vec![nearest(Measure::Distance, negatives.iter().copied())],
            Triplets::SemiHard => {
                let beyond = negatives.iter().copied().filter(|&d| d >= positive);
                let next = nearest(Measure::Distance, beyond);
                let all = negatives.iter().copied();
                vec![if next.is_finite() {
                    next
                } else {
                    farthest(Measure::Distance, all)
                }]
            }
            Triplets::All => negatives.clone(),
            Triplets::Random => {
                let opposite = (i + anchors.len() / 2) % anchors.len();
                let random = anchors[i].negatives.iter().filter(|(_, j)| *j == opposite);
                random.map(|(value, _)| *value).collect()
            }
        };
        mean(
            chosen
                .into_iter()
                .map(|negative| hinge(positive - negative, loss.margin, loss.soft_margin)),
        )
    };
    mean(anchors[i].positive_values().into_iter().map(of_positive))
}

fn lifted_structure(loss: &LiftedStructureLoss, anchors: &[Anchor], i: usize) -> f64 {
    let sum = |k: usize| -> f64 {
        let terms = anchors[k].negative_values();
        terms.iter().map(|distance| (-distance).exp()).sum()
    };
    let of_positive = |(distance, other): &(f64, Option<usize>)| {
        let both = match other {
            Some(other) if loss.both_sides => sum(i) + sum(*other),
            _ => sum(i),
        };
        let excess = (both.ln() + distance + loss.margin).max(0.0);
        if loss.squared_hinge {
            excess * excess / 2.0
        } else {
            excess
        }
    };
    mean(anchors[i].positives.iter().map(of_positive))
}

fn multi_similarity(loss: &MultiSimilarityLoss, anchor: &Anchor) -> f64 {
    let (positives, negatives) = (anchor.positive_values(), anchor.negative_values());
    let hardest_positive = farthest(Measure::InnerProduct, positives.iter().copied());
    let hardest_negative = nearest(Measure::InnerProduct, negatives.iter().copied());
    let pull: f64 = positives
        .iter()
        .filter(|&&s| s < hardest_negative + loss.epsilon)
        .map(|s| (-loss.alpha * (s - loss.base)).exp())
        .sum();
    let push: f64 = negatives
        .iter()
        .filter(|&&s| s > hardest_positive - loss.epsilon)
        .map(|s| (loss.beta * (s - loss.base)).exp())
        .sum();
    pull.ln_1p() / loss.alpha + push.ln_1p() / loss.beta
}

fn contrastive(loss: &ContrastiveLoss, anchor: &Anchor) -> f64 {
    let of_excess = |excess: f64| {
        let excess = excess.max(0.0);
        if loss.squared_hinge {
            excess * excess / 2.0
        } else {
            excess
        }
    };
    let (positives, negatives) = (anchor.positive_values(), anchor.negative_values());
    mean(
        positives
            .iter()
            .map(|d| of_excess(d - loss.positive_margin)),
    ) + mean(
        negatives
            .iter()
            .map(|d| of_excess(loss.negative_margin - d)),
    )
}
