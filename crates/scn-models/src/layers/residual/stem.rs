//! The front of a residual network.

/// What is told of the key `stem`, which several families have.
macro_rules! stem_doc {
    () => {
        "ResNet-18 and -34, SDNet and SCN-18: a 3x3 layer in front, or a 7x7 one of stride 2 with max pooling."
    };
}
pub(crate) use stem_doc;

scn_keys::names! {
    /// The front of a residual network, `model.stem`.
    pub enum StemKind {
        /// A 3×3 layer of stride 1, for images of about 32×32.
        Cifar = "cifar",
        /// A 7×7 layer of stride 2 and 3×3 max pooling of stride 2, for images of about 224×224.
        Imagenet = "imagenet",
    }
}

impl StemKind {
    /// Side of the windows of the first layer, and its stride.
    pub(crate) fn window(self) -> (usize, usize) {
        match self {
            StemKind::Cifar => (3, 1),
            StemKind::Imagenet => (7, 2),
        }
    }

    /// The shape `[c, h, w]` behind the pooling of what the first layer makes.
    pub(crate) fn pooled(self, [channels, height, width]: [usize; 3]) -> [usize; 3] {
        match self {
            StemKind::Cifar => [channels, height, width],
            StemKind::Imagenet => [channels, height.div_ceil(2), width.div_ceil(2)],
        }
    }
}
