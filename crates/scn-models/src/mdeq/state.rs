//! The state `z = (z₁, z₂)` of an equilibrium, and one vector `[b, d]` of all its values for the solvers.

use burn::tensor::Tensor;

/// Both resolutions, the finer first, each `[b, c, h, w]`.
pub(super) type State = [Tensor<4>; 2];

/// All values of each image, `[b, d]`.
pub(super) fn vector(state: State) -> Tensor<2> {
    let rows = state.map(|part| {
        let [batch, channels, height, width] = part.dims();
        part.reshape([batch, channels * height * width])
    });
    Tensor::cat(rows.into(), 1)
}

/// The state of these shapes with those values.
pub(super) fn state(vector: Tensor<2>, shapes: [[usize; 4]; 2]) -> State {
    let fine: usize = shapes[0][1..].iter().product();
    let coarse: usize = shapes[1][1..].iter().product();
    let rows = [0..fine, fine..fine + coarse].map(|range| vector.clone().slice_dim(1, range));
    let [fine, coarse] = rows;
    [fine.reshape(shapes[0]), coarse.reshape(shapes[1])]
}

/// The shapes of the state whose finer part has this one; the coarser has half the sides, rounded up.
pub(super) fn shapes(fine @ [batch, channels, height, width]: [usize; 4]) -> [[usize; 4]; 2] {
    [fine, [batch, channels, height.div_ceil(2), width.div_ceil(2)]]
}

/// `⟨a, b⟩`, `[1]`.
pub(super) fn product(a: State, b: State) -> Tensor<1> {
    let [fine, coarse] = a;
    let [of_fine, of_coarse] = b;
    (fine * of_fine).sum() + (coarse * of_coarse).sum()
}
