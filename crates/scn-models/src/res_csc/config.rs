//! The keys of Res-CSC.

use crate::layers::batch_norm_doc;

scn_keys::names! {
    /// What a pair adds to its second step, `model.skip`.
    pub enum Skip {
        /// `(I − DᵀD/L)X`, as a step of ISTA from X makes it.
        Ista = "ista",
        /// X, as the block of a residual network.
        Identity = "identity",
    }
}

scn_keys::table! {
    /// The keys of Res-CSC.
    pub struct ResCscConfig {
        /// Res-CSC: [pairs, channels] of each stage, of which every one but the first halves the image.
        pub stages: Vec<Vec<usize>> = default(vec![vec![3, 16], vec![3, 32], vec![3, 64]]).within(range(
            "up to 8 stages, each [pairs from 1 to 1000, channels from 1 to 4096], channels in rising order",
            |stages: &Vec<Vec<usize>>| allowed(stages),
        )),
        /// Res-CSC: what a pair adds to its second layer: the ista step's (I − DᵀD/L)X, or the identity of a ResNet of the same size.
        pub skip: Skip = default(Skip::Ista),
        #[doc = batch_norm_doc!()]
        pub batch_norm: bool = default(true),
    }
}

impl ResCscConfig {
    /// Channels of the convolution in front.
    pub(super) fn first_channels(&self) -> usize {
        self.stages[0][1]
    }
}

/// Channels do not fall: what a pair is given is continued by channels of zeros.
fn allowed(stages: &[Vec<usize>]) -> bool {
    let sizes = |stage: &Vec<usize>| matches!(stage[..], [1..=1000, 1..=4096]);
    (1..=8).contains(&stages.len()) && stages.iter().all(sizes) && stages.is_sorted_by_key(|stage| stage[1])
}
