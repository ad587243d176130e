//! Views of an image whose logits are averaged (test-time augmentation, as airbench has it: Jordan, arXiv:2404.00498).
//!
//! With `flip` they are the image and its mirror image, half each. With `flip-shift` these two weigh a quarter each; the
//! other half is shared by four, the image moved by one pixel down and to the right, and up and to the left, each with its
//! mirror image, of an eighth. Zeros enter, where airbench reflects pixels: so do they in `data.augment.shift`.

use scn_data::{Batch, Transform};

use crate::experiment::TestTime;

/// A view of an image and its part of the mean.
pub(super) struct View {
    transform: Transform,
    pub(super) weight: f32,
}

/// The views of each image, itself first. Their weights add up to 1 and are powers of two, which round nothing.
pub(super) fn views(test_time: TestTime) -> Vec<View> {
    let pair = |offset: isize, weight: f32| {
        [false, true].map(|flip| View {
            transform: Transform {
                flip,
                top: offset,
                left: offset,
                cutout: None,
            },
            weight,
        })
    };
    match test_time {
        TestTime::None => vec![View {
            transform: Transform::default(),
            weight: 1.0,
        }],
        TestTime::Flip => pair(0, 0.5).into(),
        // A window that starts at −1 shows the image moved down and to the right.
        TestTime::FlipShift => [pair(0, 0.25), pair(-1, 0.125), pair(1, 0.125)]
            .into_iter()
            .flatten()
            .collect(),
    }
}

impl View {
    /// The batch as it is seen so.
    pub(super) fn of(&self, batch: &Batch) -> Batch {
        let shape = [batch.shape[1], batch.shape[2], batch.shape[3]];
        let length = shape.iter().product();
        let mut seen = batch.clone();
        for (image, output) in batch
            .images
            .chunks_exact(length)
            .zip(seen.images.chunks_exact_mut(length))
        {
            self.transform.apply(image, shape, output, shape);
        }
        seen
    }
}
