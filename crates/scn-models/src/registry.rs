//! Every family, one line each.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::family::{Choice, Chosen, FamilyInfo};
use crate::initialization::Initializer;
use crate::network::Observer;
use crate::{
    Coded, CodingLayer, LayerSummary, ModelConfig, ModelError, Network, Output, Pass, Reporting, Roles, Sparsity,
};

macro_rules! families {
    ($($family:ident($network:ty)),+ $(,)?) => {
        /// A network of any family.
        // A program has one at a time: a box would save nothing.
        #[allow(clippy::large_enum_variant)]
        #[derive(Module, Debug)]
        pub enum Model {
            $(
                #[doc = concat!("[`", stringify!($network), "`].")]
                $family($network),
            )+
        }

        /// The keys of a network of any family.
        #[derive(Clone, Debug, PartialEq)]
        pub enum NetworkConfig {
            $(
                #[doc = concat!("Of [`", stringify!($network), "`].")]
                $family(Chosen<$network>),
            )+
        }

        /// What the families say of themselves, in their order.
        pub(crate) fn families() -> Vec<FamilyInfo> {
            vec![$(FamilyInfo::of::<$network>()),+]
        }

        impl NetworkConfig {
            /// That of a member, with its defaults.
            pub(crate) fn named(name: &str) -> Option<Self> {
                None$(.or_else(|| Chosen::<$network>::named(name).map(NetworkConfig::$family)))+
            }

            pub(crate) fn choice(&self) -> &dyn Choice {
                match self {
                    $(NetworkConfig::$family(chosen) => chosen,)+
                }
            }

            pub(crate) fn choice_mut(&mut self) -> &mut dyn Choice {
                match self {
                    $(NetworkConfig::$family(chosen) => chosen,)+
                }
            }

            fn build(&self, image: [usize; 3], classes: usize, init: &mut Initializer) -> Model {
                match self {
                    $(NetworkConfig::$family(chosen) => Model::$family(chosen.build(image, classes, init)),)+
                }
            }
        }

        impl Network for Model {
            fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
                match self {
                    $(Model::$family(network) => network.forward_observed(images, pass, observe),)+
                }
            }

            fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
                match self {
                    $(Model::$family(network) => network.layers(image),)+
                }
            }

            fn roles(&self) -> Roles {
                match self {
                    $(Model::$family(network) => network.roles(),)+
                }
            }

            fn coding_layers(&self) -> Vec<CodingLayer> {
                match self {
                    $(Model::$family(network) => network.coding_layers(),)+
                }
            }

            fn reporting(&self) -> Vec<Reporting> {
                match self {
                    $(Model::$family(network) => network.reporting(),)+
                }
            }

            fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
                match self {
                    $(Model::$family(network) => network.coded(images),)+
                }
            }

            fn sparsity(&self) -> Option<Sparsity> {
                match self {
                    $(Model::$family(network) => network.sparsity(),)+
                }
            }

            fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
                match self {
                    $(Model::$family(network) => network.residual(images),)+
                }
            }

            fn refresh(self) -> Self {
                match self {
                    $(Model::$family(network) => Model::$family(network.refresh()),)+
                }
            }
        }
    };
}

// In the order in which messages list their members.
families! {
    Scn(crate::scn::Scn),
    ScnResNet(crate::scn_resnet::ScnResNet),
    ResNet(crate::resnet::ResNet),
    Sdnet(crate::sdnet::Sdnet),
    PreactResNet(crate::preact_resnet::PreactResNet),
    MlCsc(crate::ml_csc::MlCsc),
    ScCnn(crate::sc_cnn::ScCnn),
    ResCsc(crate::res_csc::ResCsc),
    MsdCsc(crate::msd_csc::MsdCsc),
    MsdNet(crate::msdnet::MsdNet),
    Mdeq(crate::mdeq::Mdeq),
}

impl Model {
    /// Builds a model for images `[channels, height, width]` on `device`; a seed gives the same weights on every device.
    ///
    /// # Errors
    /// As [`ModelConfig::check`], and [`ModelError::Misfit`].
    pub fn new(
        config: &ModelConfig,
        image: [usize; 3],
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::build(config, image, classes, &mut Initializer::new(seed, device))
    }

    /// A model whose tensors are all 0, for a file's values to take their places.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn empty(config: &ModelConfig, image: [usize; 3], classes: usize, device: &Device) -> Result<Self, ModelError> {
        Self::build(config, image, classes, &mut Initializer::empty(device))
    }

    fn build(
        config: &ModelConfig,
        image: [usize; 3],
        classes: usize,
        init: &mut Initializer,
    ) -> Result<Self, ModelError> {
        config.check()?;
        if let Some(misfit) = config.misfit(image) {
            return Err(ModelError::Misfit(misfit));
        }
        Ok(config.network.build(image, classes, init))
    }
}
