//! The metrics of the dashboard and the log, as Burn metrics.

mod loss;
mod retrieval;
mod statistic;
mod weighted_mean;

use burn_train::metric::{Adaptor, MetricAttributes, NumericAttributes};

pub use loss::AnchorLossMetric;
pub use retrieval::RetrievalMetric;
pub use statistic::{Statistic, StatisticMetric};

use super::step::{FinishedSteps, Validated};

impl Adaptor<FinishedSteps> for FinishedSteps {
    fn adapt(&self) -> FinishedSteps {
        self.clone()
    }
}

impl Adaptor<Validated> for Validated {
    fn adapt(&self) -> Validated {
        Validated
    }
}

fn numeric(unit: Option<&str>, higher_is_better: bool) -> MetricAttributes {
    NumericAttributes {
        unit: unit.map(String::from),
        higher_is_better,
    }
    .into()
}
