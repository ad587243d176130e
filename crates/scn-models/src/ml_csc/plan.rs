//! What fits together: the shapes of a plan, and values that exclude each other.

use super::{MlCscConfig, Pursuit, StepSize};
use crate::{Misfit, Unused};

/// Shapes `[channels, height, width]` of the codes of each layer and of the output of each convolution, for images
/// `[channels, height, width]`.
pub(super) struct Shapes {
    pub codes: Vec<[usize; 3]>,
    pub convolutions: Vec<[usize; 3]>,
}

impl MlCscConfig {
    /// The shapes that images of this shape give.
    pub(super) fn shapes(&self, image: [usize; 3]) -> Result<Shapes, Misfit> {
        let mut input = image;
        let mut shapes = Shapes {
            codes: Vec::new(),
            convolutions: Vec::new(),
        };
        for (i, row) in self.layers.iter().enumerate() {
            let [atoms, kernel, stride, padding] = *row;
            let [height, width] = windows(input, [kernel, stride, padding]).ok_or_else(|| Misfit {
                key: format!("layers[{i}]"),
                found: format!("{row:?}"),
                with: format!("the signals of this layer are {}×{}", input[1], input[2]),
                expected: kernel_range(input, padding),
            })?;
            input = [atoms, height, width];
            shapes.codes.push(input);
        }
        for (i, row) in self.convolutions.iter().enumerate() {
            let [filters, kernel, padding, pooling] = *row;
            let misfit = |expected| Misfit {
                key: format!("convolutions[{i}]"),
                found: format!("{row:?}"),
                with: format!("the input of this convolution is {}×{}", input[1], input[2]),
                expected,
            };
            let [height, width] =
                windows(input, [kernel, 1, padding]).ok_or_else(|| misfit(kernel_range(input, padding)))?;
            let side = height.min(width);
            if pooling > side {
                return Err(misfit(format!("pooling of at most {side}")));
            }
            input = [filters, height / pooling, width / pooling];
            shapes.convolutions.push(input);
        }
        Ok(shapes)
    }

    /// The first value that goes with neither the others nor images of this shape.
    pub(super) fn misfit(&self, image: [usize; 3]) -> Option<Misfit> {
        self.threshold_misfit().or_else(|| self.shapes(image).err())
    }

    fn threshold_misfit(&self) -> Option<Misfit> {
        let first = self.threshold.first();
        let misfit = |with: String, expected: String| {
            Some(Misfit {
                key: "threshold.initial".into(),
                found: format!("{first}"),
                with,
                expected,
            })
        };
        let minimum = self.threshold.minimum.unwrap_or(0.0);
        if self.pursuit == Pursuit::BasisPursuit && first <= 0.0 {
            let with = "with model.pursuit = \"basis-pursuit\" it is the weight of the 1-norm, without which codes are not unique";
            return misfit(with.into(), "a number above 0".into());
        }
        if self.threshold.minimum.is_some() && first < minimum {
            return misfit(
                format!("model.threshold.minimum is {minimum}"),
                format!("at least {minimum}"),
            );
        }
        if !self.non_negative && first < 0.0 {
            return misfit("model.non_negative is false".into(), "at least 0".into());
        }
        None
    }

    /// Values that have no effect.
    pub(super) fn unused(&self) -> Vec<Unused> {
        let defaults = Self::default();
        let mut unused = Vec::new();
        // A thresholding is what 0 unfoldings are.
        let stated = match self.pursuit {
            Pursuit::Thresholding => self.unfoldings != 0,
            _ => true,
        };
        if !self.pursuit.unfolds() && stated && self.unfoldings != defaults.unfoldings {
            unused.push(Unused {
                key: "unfoldings",
                found: self.unfoldings.to_string(),
                because: "model.pursuit does not unfold",
                expected: "it with ista, fista, ml-ista, ml-fista or ml-lista only",
            });
        }
        let follows = match self.pursuit {
            Pursuit::MlLista | Pursuit::BasisPursuit => false,
            Pursuit::Thresholding | Pursuit::Ista | Pursuit::Fista | Pursuit::MlIsta | Pursuit::MlFista => true,
        };
        if !follows && self.step_size != StepSize::Learned {
            unused.push(Unused {
                key: "step_size",
                found: format!("{:?}", self.step_size.name()),
                because: "model.pursuit has no step size of its own",
                expected: "it with other pursuits than ml-lista and basis-pursuit",
            });
        }
        if self.pursuit != Pursuit::BasisPursuit && self.basis_pursuit != defaults.basis_pursuit {
            unused.push(Unused {
                key: "basis_pursuit",
                found: "a table".into(),
                because: "model.pursuit does not solve to convergence",
                expected: "it with model.pursuit = \"basis-pursuit\" only",
            });
        }
        if let (Some(minimum), false) = (self.threshold.minimum, self.threshold.learned) {
            unused.push(Unused {
                key: "threshold.minimum",
                found: minimum.to_string(),
                because: "model.threshold.learned is false",
                expected: "one of the two",
            });
        }
        unused
    }
}

/// Windows of `[kernel, stride, padding]` down and across; `None` where there are none.
fn windows([_, height, width]: [usize; 3], [kernel, stride, padding]: [usize; 3]) -> Option<[usize; 2]> {
    let places = |side: usize| Some((side + 2 * padding).checked_sub(kernel)? / stride + 1);
    Some([places(height)?, places(width)?])
}

fn kernel_range([_, height, width]: [usize; 3], padding: usize) -> String {
    format!(
        "a kernel of at most {} with this padding",
        height.min(width) + 2 * padding
    )
}
