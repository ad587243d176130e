//! Two 3×3 layers around a shortcut.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Slice, Tensor};

use super::{EPSILON, Filter, Frame};
use crate::initialization::Initializer;
use crate::layers::BatchNorm;
use crate::{Coded, CodingLayer, CodingReport, CodingSource, LayerSummary, Pass, Roles};

/// Two 3×3 layers around a shortcut.
#[derive(Module, Debug)]
pub struct Block<L: Module> {
    /// First layer; carries the stride.
    pub conv1: L,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// Second layer.
    pub conv2: L,
    /// Its batch norm.
    pub bn2: BatchNorm,
    /// The projection, where the shape changes and the network projects.
    pub shortcut: Option<Shortcut<L>>,
    stride: usize,
    adds_input: bool,
}

/// A 1×1 layer with batch norm.
#[derive(Module, Debug)]
pub struct Shortcut<L: Module> {
    /// The projection.
    pub conv: L,
    /// Its batch norm.
    pub bn: BatchNorm,
}

impl<L: Filter> Block<L> {
    /// For inputs `[channels, height, width]`.
    pub(super) fn new(
        frame: &Frame,
        settings: &L::Settings,
        input: [usize; 3],
        filters: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        let inner = [filters, input[1].div_ceil(stride), input[2].div_ceil(stride)];
        let changes = stride != 1 || input[0] != filters;
        Self {
            conv1: L::new(settings, input, filters, 3, stride, init),
            bn1: BatchNorm::new(filters, true, EPSILON, init),
            conv2: L::new(settings, inner, filters, 3, 1, init),
            bn2: BatchNorm::new(filters, true, EPSILON, init),
            shortcut: (frame.shortcuts && frame.stages.projects && changes).then(|| Shortcut {
                conv: L::new(settings, input, filters, 1, stride, init),
                bn: BatchNorm::new(filters, true, EPSILON, init),
            }),
            stride,
            adds_input: frame.shortcuts,
        }
    }

    /// Of `x [b, c, h, w]`; what its layers report is added to `codes`, and `visit` is called with what each coding layer
    /// made.
    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        pass: &Pass,
        codes: &mut Vec<CodingReport>,
        visit: &mut dyn FnMut(Coded),
    ) -> Tensor<4> {
        let mut filter = |layer: &L, x: Tensor<4>| {
            let (filtered, report) = layer.filter(x.clone(), None);
            if report.is_some() {
                let (input, codes) = (x, filtered.clone());
                visit(Coded { input, codes });
            }
            codes.extend(report);
            filtered
        };
        let normalized = self.bn1.forward(filter(&self.conv1, x.clone()), pass);
        let inner = match self.conv1.codes() {
            true => normalized,
            false => relu(normalized),
        };
        let residual = self.bn2.forward(filter(&self.conv2, inner), pass);
        if !self.adds_input {
            return relu(residual);
        }
        let shortcut = match &self.shortcut {
            Some(Shortcut { conv, bn }) => bn.forward(filter(conv, x), pass),
            None => subsample(x, self.stride, residual.dims()[1]),
        };
        relu(residual + shortcut)
    }

    /// What is told of its coding layers in the block `name`, whose input is `source`.
    pub(super) fn coding_layers(&self, name: &str, source: CodingSource) -> Vec<CodingLayer> {
        let inner = match self.conv1.codes() {
            true => CodingSource::Normalized(self.bn1.scale()),
            false => CodingSource::Other("a convolution's output"),
        };
        let sources = [source, inner, CodingSource::Other("the input of the block")];
        let named = self.layers().zip(sources);
        let coding =
            named.filter_map(|((layer, coding), source)| coding.coding_layer(format!("{name}.{layer}"), source));
        coding.collect()
    }

    /// Its layers by name, in the order of the forward pass.
    pub(super) fn layers(&self) -> impl Iterator<Item = (&'static str, &L)> {
        let shortcut = self.shortcut.iter().map(|shortcut| ("shortcut.conv", &shortcut.conv));
        [("conv1", &self.conv1), ("conv2", &self.conv2)]
            .into_iter()
            .chain(shortcut)
    }

    /// Adds its layers on inputs `[c, h, w]` and returns the shape of its output.
    pub(super) fn summarize(&self, name: &str, input: [usize; 3], layers: &mut Vec<LayerSummary>) -> [usize; 3] {
        let first = self.conv1.summary(&format!("{name}.conv1"), input).with_norm(&self.bn1);
        let second = self.conv2.summary(&format!("{name}.conv2"), first.output);
        let second = second.with_norm(&self.bn2);
        let output = second.output;
        layers.extend([first, second]);
        if let Some(Shortcut { conv, bn }) = &self.shortcut {
            layers.push(conv.summary(&format!("{name}.shortcut.conv"), input).with_norm(bn));
        }
        output
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        self.layers().for_each(|(_, layer)| layer.roles(roles));
        self.bn1.roles(roles);
        self.bn2.roles(roles);
        if let Some(Shortcut { bn, .. }) = &self.shortcut {
            bn.roles(roles);
        }
    }

    /// See [`crate::Network::refresh`].
    pub(super) fn refresh(self) -> Self {
        Self {
            conv1: self.conv1.refresh(),
            conv2: self.conv2.refresh(),
            shortcut: self.shortcut.map(|Shortcut { conv, bn }| Shortcut {
                conv: conv.refresh(),
                bn,
            }),
            ..self
        }
    }
}

/// Every `stride`-th pixel, with channels of zeros added in equal parts before and after (option A).
pub(crate) fn subsample(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    let every = Slice::new(0, None, stride as isize);
    let x = if stride == 1 {
        x
    } else {
        x.slice_dim(2, every).slice_dim(3, every)
    };
    let [batch, input, height, width] = x.dims();
    if input == channels {
        return x;
    }
    let before = Tensor::zeros([batch, (channels - input) / 2, height, width], &x.device());
    let after = Tensor::zeros(
        [batch, channels - input - (channels - input) / 2, height, width],
        &x.device(),
    );
    Tensor::cat(vec![before, x, after], 1)
}
