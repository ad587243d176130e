//! What can be built.

use serde::{Deserialize, Serialize};

/// A family member, named in experiment files and on the command line as by [`ModelKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Supervised deep sparse coding network (Sun, Nasrabadi & Tran, arXiv:1701.08349).
    Scn,
    /// ResNet-18 whose first convolution is a sparse-coding layer of an SCN.
    Scn18,
    /// ResNet-18 (He et al., arXiv:1512.03385).
    Resnet18,
    /// ResNet-34.
    Resnet34,
    /// ResNet-20 for CIFAR (He et al., section 4.2).
    Resnet20,
    /// ResNet-56 for CIFAR.
    Resnet56,
    /// ResNet-110 for CIFAR.
    Resnet110,
    /// ResNet-18 with a convolutional sparse-coding layer in front (Dai et al., arXiv:2210.12945).
    Sdnet18,
    /// ResNet-34 with the same.
    Sdnet34,
    /// ResNet-18 with convolutional sparse-coding layers for all its convolutions (Dai et al.).
    #[serde(rename = "sdnet18-all")]
    Sdnet18All,
    /// Pre-activation ResNet-164 for CIFAR (He et al., arXiv:1603.05027).
    #[serde(rename = "preact-resnet164")]
    PreactResnet164,
    /// Pre-activation ResNet-1001 for CIFAR.
    #[serde(rename = "preact-resnet1001")]
    PreactResnet1001,
    /// The wide residual network WRN-28-10 (Zagoruyko & Komodakis, arXiv:1605.07146).
    #[serde(rename = "wrn-28-10")]
    Wrn28x10,
}

impl ModelKind {
    /// Name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Scn => "scn",
            ModelKind::Scn18 => "scn18",
            ModelKind::Resnet18 => "resnet18",
            ModelKind::Resnet34 => "resnet34",
            ModelKind::Resnet20 => "resnet20",
            ModelKind::Resnet56 => "resnet56",
            ModelKind::Resnet110 => "resnet110",
            ModelKind::Sdnet18 => "sdnet18",
            ModelKind::Sdnet34 => "sdnet34",
            ModelKind::Sdnet18All => "sdnet18-all",
            ModelKind::PreactResnet164 => "preact-resnet164",
            ModelKind::PreactResnet1001 => "preact-resnet1001",
            ModelKind::Wrn28x10 => "wrn-28-10",
        }
    }

    /// Whether a key below `model` means something to it.
    pub fn has(self, key: &str) -> bool {
        kinds_with(key).contains(&self)
    }
}

/// The kinds that have a key below `model`.
pub(crate) fn kinds_with(key: &str) -> &'static [ModelKind] {
    use ModelKind::{Resnet18, Resnet34, Scn, Scn18, Sdnet18, Sdnet18All, Sdnet34};
    match key {
        "csc" => &[Sdnet18, Sdnet34, Sdnet18All],
        "shortcuts" => &[Sdnet18All],
        "stem" => &[Scn18, Resnet18, Resnet34, Sdnet18, Sdnet34, Sdnet18All],
        "solver" | "lambda1" => &[Scn, Scn18],
        _ => &[Scn],
    }
}
