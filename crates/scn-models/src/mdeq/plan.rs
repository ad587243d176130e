//! What tells multiscale equilibrium networks apart.

/// Sizes of a network.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Channels of each resolution; the second is half as fine.
    pub(super) channels: usize,
    /// Channels inside a block over those outside.
    pub(super) expansion: usize,
    /// Groups that blocks normalise; fusions have half as many.
    pub(super) groups: usize,
    /// Channels inside the head's bottleneck of each resolution.
    pub(super) head: [usize; 2],
    /// Features that are classified.
    pub(super) features: usize,
}

/// The small network for CIFAR-10 (Bai, Koltun & Kolter, arXiv:2006.08656, and the authors' program).
pub(super) const SMALL: Plan = Plan {
    channels: 24,
    expansion: 5,
    groups: 8,
    head: [8, 16],
    features: 200,
};
