//! The `first_layer` table.

use std::path::PathBuf;

scn_keys::names! {
    /// Which tensor of a dictionary becomes the first layer.
    pub enum DictionaryForm {
        /// The atoms: what codes make images of.
        Atoms = "atoms",
        /// What makes of patches the products of atoms with whitened patches: the whitening is in them.
        Filters = "filters",
    }
}

scn_keys::table! {
    /// A learned dictionary as the weight of the network's first layer.
    pub struct FirstLayerConfig {
        /// A run of `scn dictionary learn`, or a safetensors file with the tensor.
        pub dictionary: Option<PathBuf> = unset("the network's own initial weights")
            .within(range("the path of a folder or a file", |_| true)),
        /// Which of its tensors.
        pub form: DictionaryForm = default(DictionaryForm::Atoms),
        /// Leave it as it is in training.
        pub frozen: bool = default(false),
    }
}

impl DictionaryForm {
    /// The name of the tensor.
    pub(crate) fn tensor(self) -> &'static str {
        match self {
            DictionaryForm::Atoms => "weight",
            DictionaryForm::Filters => "filters",
        }
    }
}
