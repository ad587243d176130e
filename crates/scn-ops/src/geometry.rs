//! The one place where operations turn the shapes of tensors into a layer. Backends take what was checked here.

use burn::tensor::Tensor;
use scn_solver::{ConvGeometry, Placement};

/// Of an input `[b, c, h, w]` and a weight `[n, c, k, k]`.
///
/// # Panics
/// Where they do not form a layer (see [`ConvGeometry::new`]).
#[track_caller]
pub(crate) fn of_input(x: &Tensor<4>, weight: &Tensor<4>, placement: Placement) -> ConvGeometry {
    layer(x.dims(), weight.dims(), placement)
}

/// Of codes `[b, n, h', w']` and a weight `[n, c, k, k]`, for an input with these `sides = [h, w]`: several of them have
/// codes of the same shape where there is a stride.
///
/// # Panics
/// Where they do not form a layer (see [`ConvGeometry::new`]) whose output the codes are.
#[track_caller]
pub(crate) fn of_codes(
    codes: &Tensor<4>,
    weight: &Tensor<4>,
    placement: Placement,
    [height, width]: [usize; 2],
) -> ConvGeometry {
    let ([batch, ..], [_, channels, ..]) = (codes.dims(), weight.dims());
    let geometry = layer([batch, channels, height, width], weight.dims(), placement);
    check_codes("codes", codes, &geometry);
    geometry
}

/// # Panics
/// Where the tensor `name` is not of the codes' shape.
#[track_caller]
pub(crate) fn check_codes(name: &str, codes: &Tensor<4>, geometry: &ConvGeometry) {
    assert_eq!(
        codes.dims(),
        geometry.codes_shape(),
        "shape of {name} (left) is not that of the layer (right)"
    );
}

#[track_caller]
fn layer(x: [usize; 4], weight: [usize; 4], placement: Placement) -> ConvGeometry {
    match ConvGeometry::new(x, weight, placement) {
        Ok(geometry) => geometry,
        Err(error) => panic!("{error}"),
    }
}
