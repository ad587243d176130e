//! One file or folder per backend; a new backend is one here and one selector at each operation.

#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod autodiff;
#[cfg(feature = "wgpu")]
mod cube;
mod flex;
#[cfg(any(feature = "wgpu", feature = "ndarray"))]
mod generic;
#[cfg(feature = "ndarray")]
mod ndarray;

#[cfg(feature = "wgpu")]
pub(crate) use cube::limits_of;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::Tensor;
use scn_solver::ConvGeometry;

/// A backend whose primitives become tensors of the program: what a backward pass reports leaves it outside the graph.
trait ToTensor: Backend {
    /// The backend's place among those that a tensor dispatches to.
    fn kind(tensor: BackendTensor<Self>) -> DispatchTensorKind;

    /// A tensor without autodiff.
    fn to_tensor<const D: usize>(tensor: FloatTensor<Self>) -> Tensor<D> {
        Tensor::from_dispatch(DispatchTensor {
            kind: Self::kind(BackendTensor::Float(tensor)),
            autodiff: DispatchAutodiffContext::Disabled,
        })
    }
}

/// The shape `[b, 2, h', w']` of what the solves of a layer report: iterations and residuals.
fn solves_shape(geometry: &ConvGeometry) -> [usize; 4] {
    [geometry.batch, 2, geometry.output_height(), geometry.output_width()]
}
