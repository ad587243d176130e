//! Initial values, drawn on the CPU so that every backend starts from the same ones.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Draws the initial values of a model's tensors, one after the other.
pub struct Initializer<'d> {
    /// Absent where values of a file will replace all of them.
    random: Option<ChaCha8Rng>,
    device: &'d Device,
}

impl<'d> Initializer<'d> {
    pub(crate) fn new(seed: u64, device: &'d Device) -> Self {
        Self {
            random: Some(ChaCha8Rng::seed_from_u64(seed)),
            device,
        }
    }

    /// Draws nothing: all tensors are 0.
    pub(crate) fn empty(device: &'d Device) -> Self {
        Self { random: None, device }
    }

    /// Whether it draws nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.random.is_none()
    }

    /// Independent values from N(0, deviation²).
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        self.drawn(shape, |random| {
            let standard: f64 = StandardNormal.sample(random);
            deviation * standard
        })
    }

    fn drawn<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f64,
    ) -> Param<Tensor<D>> {
        let Some(random) = &mut self.random else {
            return self.constant(shape, 0.0);
        };
        let values = (0..shape.iter().product()).map(|_| draw(random) as f32).collect();
        Param::from_data(TensorData::new::<f32, Shape>(values, shape.into()), self.device)
    }

    /// Independent values, even between `−bound` and `bound`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f64) -> Param<Tensor<D>> {
        self.drawn(shape, |random| bound * random.random_range(-1.0..=1.0f64))
    }

    /// The same value everywhere. Where the values of a file will replace it, nothing is allocated until it is asked for:
    /// the description of a model may claim more than its file holds.
    pub fn constant<const D: usize>(&self, shape: [usize; D], value: f64) -> Param<Tensor<D>> {
        if self.is_empty() {
            let full = move |device: &Device, require_grad: bool| {
                Tensor::full(shape, value, device).set_require_grad(require_grad)
            };
            return Param::uninitialized(ParamId::new(), full, self.device.clone(), true, shape.into());
        }
        let values = vec![value as f32; shape.iter().product()];
        Param::from_data(TensorData::new::<f32, Shape>(values, shape.into()), self.device)
    }

    pub(crate) fn device(&self) -> &Device {
        self.device
    }
}

/// A tensor without autodiff, made one of `device`.
pub(crate) fn like<const D: usize>(device: &Device, tensor: Tensor<D>) -> Tensor<D> {
    match device.is_autodiff() {
        true => Tensor::from_inner(tensor),
        false => tensor,
    }
}
