//! Golden numbers: losses and gradients of an independent implementation, pytorch-metric-learning
//! 2.9.0 on PyTorch 2.11, on two small batches. They were computed in `float64`, from rows rounded to
//! `float32`, which are the input of the code under test. The comment above each number is the Python
//! code that computed it, after this prelude:
//!
//! ```python
//! import math, torch
//! from pytorch_metric_learning import distances, losses, miners, reducers
//!
//! def batch(classes, images):
//!     def entry(i, k):
//!         return math.cos(2 * (i // images) + 1.3 * k) + 0.8 * math.sin(1 + 0.9 * i * (k + 1))
//!     rows = [[entry(i, k) for k in range(4)] for i in range(classes * images)]
//!     labels = torch.arange(classes).repeat_interleave(images)
//!     return torch.tensor(rows).double().requires_grad_(), labels
//!
//! def golden(loss, classes, images, miner=None):
//!     rows, labels = batch(classes, images)
//!     mean = loss(rows, labels, miner(rows, labels) if miner else None)
//!     mean.backward()
//!     print(mean.item(), rows.grad)
//!
//! mean = reducers.MeanReducer()
//! ```
//!
//! Its conventions differ from this crate's:
//! - It averages over triplets or positive pairs. This crate averages over an anchor's positives and
//!   then over anchors, which is the same if every class has equally many images. Its default for the
//!   triplet loss, `AvgNonZeroReducer`, leaves out inactive triplets; it is not used here.
//! - Semi-hard triplets: `TripletMarginMiner` takes every negative beyond the positive, not the
//!   nearest. `BatchEasyHardMiner` takes the nearest, for the hardest positive only, and drops an
//!   anchor whose negatives are all nearer, where FaceNet's rule falls back to the farthest. With two
//!   images per class and a negative beyond every positive, as in the batch of 4 × 2, all of these
//!   agree. With more images they differ, so the [oracle](super::oracle) alone checks the formula.
//! - Its N-pair loss uses the first two images of each class: the first is an anchor, and its
//!   negatives are the second images of the other classes. The test builds these comparisons itself.
//! - Its contrastive loss has no squared hinge. The squared numbers come from a subclass with the terms
//!   of Hadsell et al. The contrastive numbers were computed on PyTorch 1.13.

use burn::tensor::{Bool, Int, Tensor};

use super::*;
use crate::geometry::oracle::*;
use crate::geometry::{Measure, transpose};
use crate::model::unit_length;
use crate::negatives::{Comparisons, Negatives, Space};

/// Number of classes and of images per class.
type Shape = [usize; 2];

/// Creates the batch of the Python function.
fn batch([classes, images]: Shape) -> (Rows, Vec<i64>) {
    let entry = |i: usize, k: usize| {
        let (class, i, k) = ((i / images) as f64, i as f64, k as f64);
        ((2.0 * class + 1.3 * k).cos() + 0.8 * (1.0 + 0.9 * i * (k + 1.0)).sin()) as f32
    };
    let count = classes * images;
    let row = |i: usize| (0..4).map(|k| entry(i, k)).collect();
    let labels = (0..count).map(|i| (i / images) as i64);
    ((0..count).map(row).collect(), labels.collect())
}

/// The mean loss and its gradient with respect to the rows.
struct MeanAndGradient {
    mean: f64,
    gradient: Vec<f64>,
}

impl MeanAndGradient {
    fn new(
        shape: Shape,
        loss: impl Fn(Tensor<TestAutodiff, 2>, Vec<i64>) -> LossOutput<TestAutodiff>,
    ) -> Self {
        let (rows, labels) = batch(shape);
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let mean = loss(leaf.clone(), labels).mean();
        let gradient = leaf.grad(&mean.clone().backward()).unwrap();
        Self {
            mean: values(mean)[0],
            gradient: values(gradient),
        }
    }

    /// Computes a loss of comparisons of every image, scaled to unit length, with all others.
    fn from_images(shape: Shape, loss: Loss) -> Self {
        Self::new(shape, |rows, labels| {
            let rows = unit_length(rows);
            let labels = Tensor::<_, 1, Int>::from_data(&labels[..], &rows.device());
            loss.forward(Negatives::None.compare(rows, labels, Space::Sphere, loss.measure()))
        })
    }

    fn assert_mean(&self, golden: f64) {
        // The rounding of `f32`.
        assert!(
            (self.mean - golden).abs() <= 1e-5 * golden,
            "{} instead of {golden}",
            self.mean
        );
    }

    fn assert_gradient(&self, golden: &[[f64; 4]]) {
        let error = relative_error(&self.gradient, golden.as_flattened());
        assert!(error <= 1e-4, "{error}: {:?}", self.gradient);
    }
}

fn triplet(margin: f64, triplets: Triplets) -> Loss {
    let config = TripletLossConfig::new()
        .with_margin(margin)
        .with_triplets(triplets);
    Loss::Triplet(config.init())
}

#[test]
fn all_triplets_equals_pytorch_metric_learning() {
    let loss = triplet(0.2, Triplets::All);
    // golden(losses.TripletMarginLoss(margin=0.2, reducer=mean), 3, 4)
    MeanAndGradient::from_images([3, 4], loss.clone()).assert_mean(0.045204423);
    // golden(losses.TripletMarginLoss(margin=0.2, reducer=mean), 4, 2)
    let found = MeanAndGradient::from_images([4, 2], loss);
    found.assert_mean(0.090720461);
    found.assert_gradient(&[
        [-0.007204818, 0.017961841, 0.023705548, 0.009218735],
        [-0.012201554, -0.010996717, -0.010671647, -0.008981250],
        [0.0, 0.0, 0.0, 0.0],
        [-0.004506210, 0.005510579, 0.011619613, -0.001396926],
        [0.001570391, 0.004186667, -0.008238753, 0.000309263],
        [0.000430452, -0.013814514, 0.001204361, 0.001694754],
        [-0.003352313, -0.004340623, 0.000376413, -0.002942141],
        [0.006803582, -0.006777450, 0.000423541, 0.015619845],
    ]);
}

#[test]
fn semi_hard_triplets_equals_pytorch_metric_learning() {
    // semi_hard = miners.BatchEasyHardMiner(pos_strategy="hard", neg_strategy="semihard")
    // golden(losses.TripletMarginLoss(margin=0.5, reducer=mean), 4, 2, semi_hard)
    MeanAndGradient::from_images([4, 2], triplet(0.5, Triplets::SemiHard)).assert_mean(0.148714939);
}

#[test]
fn hard_positive_hard_negative_triplets_equals_pytorch_metric_learning() {
    let loss = Loss::HphnTriplet(HphnTripletLossConfig::new().with_margin(0.2).init());
    // hard = losses.TripletMarginLoss(margin=0.2, reducer=mean)
    // golden(hard, 4, 2, miners.BatchHardMiner())
    MeanAndGradient::from_images([4, 2], loss.clone()).assert_mean(0.431842627);
    // golden(hard, 3, 4, miners.BatchHardMiner())
    MeanAndGradient::from_images([3, 4], loss).assert_mean(0.360607480);
}

#[test]
fn lifted_structure_equals_pytorch_metric_learning() {
    let original = LiftedStructureLossConfig::new()
        .with_squared_hinge(true)
        .with_both_sides(true)
        .with_margin(1.0);
    let loss = Loss::LiftedStructure(original.init());
    // golden(losses.LiftedStructureLoss(neg_margin=1, pos_margin=0), 4, 2)
    MeanAndGradient::from_images([4, 2], loss.clone()).assert_mean(4.408424840);
    // golden(losses.LiftedStructureLoss(neg_margin=1, pos_margin=0), 3, 4)
    let found = MeanAndGradient::from_images([3, 4], loss);
    found.assert_mean(5.154805320);
    found.assert_gradient(&[
        [-0.039547069, 0.110253405, 0.161666265, 0.148674987],
        [-0.036545166, 0.016635599, -0.004127399, -0.032886729],
        [-0.092542280, -0.235741932, 0.017294920, 0.232888200],
        [-0.264776917, 0.052440158, 0.104318769, -0.153338200],
        [-0.079803661, 0.198120299, -0.038061934, -0.064530473],
        [-0.024022374, 0.033580701, 0.173223530, -0.082023593],
        [0.122764583, -0.016872225, -0.106476509, -0.177128049],
        [0.145889461, 0.172301549, 0.151288508, -0.045985161],
        [0.378408939, -0.039898242, -0.279977301, -0.156528776],
        [0.149923143, -0.327893483, -0.195911347, 0.279986993],
        [-0.026222149, -0.066898053, -0.005521944, -0.041009328],
        [-0.035779438, 0.003658326, -0.169689344, 0.107265466],
    ]);
}

#[test]
fn multi_similarity_with_the_defaults_of_loops_code_equals_pytorch_metric_learning() {
    let loss = Loss::MultiSimilarity(MultiSimilarityLossConfig::new().init());
    // loop = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.4)
    // golden(loop, 4, 2, miners.MultiSimilarityMiner(-0.02))
    MeanAndGradient::from_images([4, 2], loss.clone()).assert_mean(0.419948510);
    // golden(loop, 3, 4, miners.MultiSimilarityMiner(-0.02))
    let found = MeanAndGradient::from_images([3, 4], loss);
    found.assert_mean(0.477296632);
    found.assert_gradient(&[
        [0.000725808, 0.000111541, 0.004263494, 0.010161474],
        [-0.000000195, 0.000000680, 0.000000687, -0.000000564],
        [-0.006865592, -0.015440380, -0.000087054, 0.018570220],
        [-0.037121889, 0.055164476, 0.069387299, -0.033754564],
        [-0.007314081, 0.012393727, -0.007942944, -0.009610971],
        [-0.000264415, 0.020812691, 0.049642233, -0.002109887],
        [0.004757142, 0.002173341, -0.026875972, -0.041623102],
        [0.005541559, 0.043800806, 0.059057609, -0.013933688],
        [0.072721801, -0.016769267, -0.142549269, -0.090394903],
        [0.028511001, -0.140037310, -0.085011555, 0.101087435],
        [0.000101264, 0.002284587, -0.003254398, -0.004221515],
        [-0.003373064, 0.006045966, -0.028223711, -0.005078413],
    ]);
}

#[test]
fn multi_similarity_with_the_defaults_of_its_paper_equals_pytorch_metric_learning() {
    let config = MultiSimilarityLossConfig::from_defaults(MultiSimilarityDefaults::Paper);
    let loss = Loss::MultiSimilarity(config.init());
    // paper = losses.MultiSimilarityLoss(alpha=2, beta=50, base=1)
    // golden(paper, 4, 2, miners.MultiSimilarityMiner(0.1))
    MeanAndGradient::from_images([4, 2], loss.clone()).assert_mean(0.308630829);
    // golden(paper, 3, 4, miners.MultiSimilarityMiner(0.1))
    MeanAndGradient::from_images([3, 4], loss).assert_mean(0.794927347);
}

#[test]
fn contrastive_with_squared_hinges_equals_the_golden_numbers() {
    // class Hadsell(losses.ContrastiveLoss):
    //     def pos_calc(self, d, margin): return super().pos_calc(d, margin) ** 2 / 2
    //     def neg_calc(self, d, margin): return super().neg_calc(d, margin) ** 2 / 2
    let loss = Loss::Contrastive(ContrastiveLossConfig::new().init());
    // golden(Hadsell(pos_margin=0, neg_margin=1, reducer=mean), 3, 4)
    MeanAndGradient::from_images([3, 4], loss.clone()).assert_mean(0.493658435);
    // golden(Hadsell(pos_margin=0, neg_margin=1, reducer=mean), 4, 2)
    let found = MeanAndGradient::from_images([4, 2], loss);
    found.assert_mean(0.400047479);
    found.assert_gradient(&[
        [-0.008726579, 0.031363251, 0.062857043, 0.063575248],
        [-0.040032990, -0.036188978, -0.027686706, -0.035675552],
        [0.061778689, 0.015879600, -0.011882008, 0.022161368],
        [-0.081608664, 0.041411034, 0.017391530, -0.091264094],
        [0.016384491, 0.043681106, -0.085958088, 0.003226662],
        [0.043257635, -0.073759461, 0.036600395, -0.009104757],
        [-0.059457019, -0.058388511, -0.025594611, -0.017205041],
        [-0.008117141, 0.021230880, 0.067637672, 0.071552497],
    ]);
}

#[test]
fn contrastive_without_the_square_equals_pytorch_metric_learning() {
    let config = ContrastiveLossConfig::new().with_squared_hinge(false);
    let loss = Loss::Contrastive(config.with_positive_margin(0.1).init());
    // golden(losses.ContrastiveLoss(pos_margin=0.1, neg_margin=1, reducer=mean), 3, 4)
    MeanAndGradient::from_images([3, 4], loss.clone()).assert_mean(0.874366452);
    // golden(losses.ContrastiveLoss(pos_margin=0.1, neg_margin=1, reducer=mean), 4, 2)
    let found = MeanAndGradient::from_images([4, 2], loss);
    found.assert_mean(0.825921294);
    found.assert_gradient(&[
        [-0.010961804, 0.040454051, 0.082669335, 0.085787381],
        [-0.049230182, -0.042948223, -0.033381741, -0.043884836],
        [0.085609674, 0.022005118, -0.016465464, 0.030710064],
        [-0.113089015, 0.057385243, 0.024100272, -0.126469004],
        [0.018844688, 0.050240000, -0.098865040, 0.003711158],
        [0.049752943, -0.084834741, 0.042096091, -0.010471873],
        [-0.050573451, -0.049562541, -0.020624621, -0.015892635],
        [-0.003242086, 0.012697521, 0.049821541, 0.057593410],
    ]);
}

/// Computes the N-pair loss of the first image of each class with the second images of all classes.
fn n_pair(shape: Shape) -> MeanAndGradient {
    MeanAndGradient::new(shape, |rows, _| {
        let [classes, images] = shape;
        let device = rows.device();
        let every = |image: i64| {
            let indices = Tensor::<_, 1, Int>::arange(0..classes as i64, &device);
            let indices = indices.mul_scalar(images as i64).add_scalar(image);
            rows.clone().select(0, indices)
        };
        let (anchors, positives) = (every(0), every(1));
        let products = anchors.clone().matmul(transpose(positives));
        let others = Tensor::<_, 2, Bool>::diag_mask([classes, classes], 0, &device);
        NPairLossConfig::new().init().forward(Comparisons {
            measure: Measure::InnerProduct,
            positives: products.clone(),
            positive_mask: others.clone().bool_not(),
            negatives: products,
            negative_mask: others,
            squared_lengths: anchors.square().sum_dim(1),
        })
    })
}

#[test]
fn n_pair_of_the_first_two_images_of_each_class_equals_pytorch_metric_learning() {
    // product = distances.DotProductSimilarity(normalize_embeddings=False)
    // golden(losses.NPairsLoss(distance=product), 3, 4)
    n_pair([3, 4]).assert_mean(0.649028356);
    // golden(losses.NPairsLoss(distance=product), 4, 2)
    let found = n_pair([4, 2]);
    found.assert_mean(1.215037668);
    found.assert_gradient(&[
        [-0.017075459, 0.089707934, 0.173744557, 0.178298077],
        [0.032322469, -0.132146551, -0.336120022, -0.321302883],
        [-0.003835322, 0.027019849, 0.034832030, -0.008632567],
        [-0.024050575, 0.070259834, 0.007931172, -0.038241981],
        [0.031450354, -0.011475567, -0.046026946, 0.002113555],
        [0.037577332, -0.077223617, -0.011561180, 0.033088007],
        [0.028067943, -0.166182592, -0.317020742, -0.325840924],
        [-0.045849226, 0.139110334, 0.339750030, 0.326456857],
    ]);
}
