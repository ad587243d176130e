//! How the pixels of a layer lie in memory, and what is read, written and summed over them.
//!
//! [`group`] says how many images are worked on at once, [`planes`] copies them so that windows are contiguous,
//! [`window`] says which values a window holds, [`tile`] places a run of pixels. On these stand [`winograd`], which convolves
//! by blocks of pixels, [`adjoint`], which gathers for each input pixel what reaches it, and [`weight_gradient`], which sums
//! over pixels.

pub(super) mod adjoint;
pub(super) mod group;
pub(super) mod planes;
pub(super) mod tile;
pub(super) mod weight_gradient;
pub(super) mod window;
pub(super) mod winograd;
