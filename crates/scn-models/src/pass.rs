//! How a forward pass is made.

use burn::tensor::Tensor;

/// How a forward pass is made.
// One lives at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Pass {
    /// Batch norm takes the statistics of the batch, and its running ones follow.
    Training(TrainingStep),
    /// Batch norm takes its running statistics.
    Evaluation {
        /// How sparse codes are to be, instead of as in training: `[1]`, or one value for each image `[b]`. What it means
        /// depends on the network: see [`Sparsity`]. Other networks take no notice.
        sparsity: Option<Tensor<1>>,
    },
}

/// Which step of training a pass is of: what a network draws at random follows from it, and what it does at first only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainingStep {
    /// Steps before it, of all epochs.
    pub number: usize,
    /// The seed of the run.
    pub seed: u64,
    /// Parts of its batch before this one, where a step takes its batch in parts.
    pub shard: usize,
}

impl Pass {
    /// That of a first step.
    pub const TRAINING: Pass = Pass::Training(TrainingStep {
        number: 0,
        seed: 0,
        shard: 0,
    });
    /// With codes as sparse as in training.
    pub const EVALUATION: Pass = Pass::Evaluation { sparsity: None };

    pub(crate) fn sparsity(&self) -> Option<&Tensor<1>> {
        match self {
            Pass::Training(_) => None,
            Pass::Evaluation { sparsity } => sparsity.as_ref(),
        }
    }
}

/// What inference can change about the sparsity of a network's codes without touching its weights (Dai et al.,
/// arXiv:2210.12945, section 4.3, for SDNet).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sparsity {
    /// λ of the first convolutional sparse-coding layer; training had this one.
    Lambda(f64),
    /// A factor on λ₁ of every sparse-coding layer; training had 1.
    Factor,
}

impl Sparsity {
    /// The value that is as in training.
    pub fn trained(self) -> f64 {
        match self {
            Sparsity::Lambda(lambda) => lambda,
            Sparsity::Factor => 1.0,
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Sparsity::Lambda(_) => "λ",
            Sparsity::Factor => "factor on λ₁",
        }
    }
}
