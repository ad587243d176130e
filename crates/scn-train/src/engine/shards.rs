//! A step whose batch is taken in parts, one after the other: each with batch-norm statistics of its own, as on devices
//! that do not exchange them, and with the activations of one part in memory at a time. The gradient is the mean over all
//! images of the batch.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use scn_data::Batch;

/// Batch norm needs two images.
const MIN_IMAGES: usize = 2;

/// The batch in so many parts, the first of which are as large as each other. A part of a single image goes to the one
/// before it, so that the last batch of an epoch may have fewer parts.
pub(super) fn shards(batch: &Batch, count: usize) -> Vec<Batch> {
    let images = batch.labels.len();
    let size = images.div_ceil(count).max(MIN_IMAGES);
    let mut ends: Vec<usize> = (size..images).step_by(size).collect();
    if ends.last().is_some_and(|end| images - end < MIN_IMAGES) {
        ends.pop();
    }
    ends.push(images);
    let length = batch.images.len() / images.max(1);
    let mut start = 0;
    let mut parts = Vec::new();
    for end in ends {
        let [_, channels, height, width] = batch.shape;
        parts.push(Batch {
            index: batch.index,
            images: batch.images[start * length..end * length].to_vec(),
            shape: [end - start, channels, height, width],
            labels: batch.labels[start..end].to_vec(),
            records: batch.records[start..end].to_vec(),
        });
        start = end;
    }
    parts
}

/// The mean of the gradients of parts, each with its share of the batch.
pub(super) struct MeanGradients(Option<Gradients>);

impl MeanGradients {
    /// Of no part yet.
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// Takes in the gradients of a part with this share.
    pub(super) fn add(&mut self, module: &impl Module, gradients: Gradients, share: f64) {
        // A batch in one part is not touched.
        if self.0.is_none() && share == 1.0 {
            self.0 = Some(gradients);
            return;
        }
        let mut add = match self.0.take() {
            None => Add {
                sum: gradients,
                part: None,
                share,
            },
            Some(sum) => Add {
                sum,
                part: Some(gradients),
                share,
            },
        };
        module.visit(&mut add);
        self.0 = Some(add.sum);
    }

    /// The mean of all that were taken in.
    ///
    /// # Panics
    /// Where there were none.
    pub(super) fn finish(self) -> Gradients {
        self.0.unwrap_or_else(|| panic!("a batch has at least one part"))
    }
}

/// Makes of the gradients in `sum` those with the share of `part` added, or their share alone where there is no other part.
struct Add {
    sum: Gradients,
    part: Option<Gradients>,
    share: f64,
}

impl ModuleVisitor for Add {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if !value.is_require_grad() {
            return;
        }
        let before = value.grad(&self.sum);
        let sum = match &self.part {
            None => before.map(|gradient| gradient * self.share),
            Some(part) => match (before, value.grad(part)) {
                (Some(sum), Some(gradient)) => Some(sum + gradient * self.share),
                (sum, None) => sum,
                (None, Some(gradient)) => Some(gradient * self.share),
            },
        };
        if let Some(sum) = sum {
            value.grad_replace(&mut self.sum, sum);
        }
    }
}
