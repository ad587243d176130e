//! How many images are worked on at once.
//!
//! A group is a run of whole images: its tiles take the pixels of all its images in order, so that small images fill
//! tiles too. A task is a run of groups. Both depend on the geometry and the tile alone.

use super::winograd;
use crate::ConvGeometry;
use crate::kernels::simd::TileShape;

/// A group has at least this many tiles, and so many where no smaller one wastes little.
const TILES_PER_GROUP: [usize; 2] = [4, 8];
/// At most one lane in so many may be idle in a smaller group.
const IDLE: usize = 25;

/// Images per group of a layer's passes: those that blocks of pixels fill, where they suit it.
pub(crate) fn layer_images(geometry: &ConvGeometry, shape: TileShape) -> usize {
    match winograd::suits(geometry) {
        true => winograd::group_images(geometry, shape),
        false => group_images(geometry.pixels(), shape.width),
    }
}

/// Images per group, for `pixels` pixels an image: few, so that a group stays in the cache, but such that a partial last
/// tile costs little.
fn group_images(pixels: usize, tile: usize) -> usize {
    let [few, many] = TILES_PER_GROUP.map(|tiles| (tiles * tile).div_ceil(pixels.max(1)).max(1));
    let wastes_little = |images: &usize| {
        let lanes = (images * pixels).next_multiple_of(tile);
        (lanes - images * pixels) * IDLE <= lanes
    };
    (few..many).find(wastes_little).unwrap_or(many)
}

/// Images per task: whole groups, in at most `tasks` tasks.
pub(crate) fn task_images(batch: usize, group: usize, tasks: usize) -> usize {
    batch.div_ceil(group).div_ceil(tasks).max(1) * group
}
