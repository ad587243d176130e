//! The mixed-scale dense network (Pelt & Sethian, PNAS 115(2):254–259, 2018): every layer adds the rectified channels of a
//! dilated convolution of all channels before it. Here it classifies: the body is that of [`mixed_scale`], which the
//! published network, for images out of images, has in one block.
//!
//! [`mixed_scale`]: crate::layers::mixed_scale

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::convolve2d;

use crate::family::{Family, Member};
use crate::initialization::Initializer;
use crate::layers::Threshold;
use crate::layers::mixed_scale::{Block, KERNEL, MixedScale, Plan, dilated, dilated_summary, mixed_scale_keys};
use crate::{CodingReport, Group, LayerSummary, Misfit, Pass, Roles};

/// A mixed-scale dense network.
pub type MsdNet = MixedScale<DenseBlock>;

mixed_scale_keys! {
    /// The keys of mixed-scale dense networks.
    pub struct MsdNetConfig {}
}

impl Family for MsdNet {
    type Plan = ();
    type Keys = MsdNetConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "msdnet",
        doc: "Mixed-scale dense network (Pelt & Sethian, 2018).",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[Group::Weight, Group::Classifier, Group::Bias, Group::Norm];

    fn misfit(_: &(), keys: &MsdNetConfig, image: [usize; 3]) -> Option<Misfit> {
        keys.plan().misfit(image)
    }

    fn build(_: &(), keys: &MsdNetConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        Self::new(&keys.plan(), &(), image[0], classes, init)
    }
}

/// Layers that keep all channels before them.
#[derive(Module, Debug)]
pub struct DenseBlock {
    /// In order.
    pub layers: Vec<DenseLayer>,
}

/// A dilated convolution whose output joins its input.
#[derive(Module, Debug)]
pub struct DenseLayer {
    /// `[growth, c, 3, 3]`.
    pub weight: Param<Tensor<4>>,
    /// Of the channels that it adds.
    pub threshold: Threshold,
    dilation: usize,
}

impl Block for DenseBlock {
    type Settings = ();

    /// Normal weights with variance `2/(9c)` (He et al., arXiv:1502.01852, fan-in).
    fn new(_: &(), channels: usize, plan: &Plan, init: &mut Initializer) -> Self {
        let layer = |(input, dilation): (usize, usize)| DenseLayer {
            weight: init.normal(
                [plan.growth, input, KERNEL, KERNEL],
                (2.0 / (KERNEL * KERNEL * input) as f64).sqrt(),
            ),
            threshold: Threshold::new(plan.growth, plan.batch_norm, init),
            dilation,
        };
        Self {
            layers: plan.layers(channels).map(layer).collect(),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass, _: &mut Vec<CodingReport>) -> Tensor<4> {
        self.layers.iter().fold(x, |x, layer| {
            let filtered = convolve2d(x.clone(), layer.weight.val(), dilated(layer.dilation));
            Tensor::cat(vec![x, layer.threshold.forward(filtered, pass)], 1)
        })
    }

    fn layers(&self, name: &str, input: [usize; 3]) -> Vec<LayerSummary> {
        let summary = |(i, layer): (usize, &DenseLayer)| {
            let name = format!("{name}.layers.{i}");
            let mut summary = dilated_summary(&name, "dense", &layer.weight, layer.dilation, input);
            summary.parameters += layer.threshold.parameters();
            summary
        };
        self.layers.iter().enumerate().map(summary).collect()
    }

    fn roles(&self, roles: &mut Roles) {
        self.layers.iter().for_each(|layer| layer.threshold.roles(roles));
    }
}
