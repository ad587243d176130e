//! What an epoch's passes over a split amount to: loss, accuracy and the state of every coding layer.

use burn::tensor::Tensor;
use scn_interop::figure::figure;
use scn_models::{CodingLayer, CodingReport, CodingSums, Network};
use serde::{Deserialize, Serialize};

use crate::engine::loss::Counts;
use crate::runs::exact;

/// The figures of one coding layer over an epoch. Where an image is one problem, as in an SDNet, they are those of the
/// first image of each batch, and every pixel counts the steps of its image. The solves of equilibria are told likewise,
/// an image each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerFigures {
    /// Name of the layer.
    pub name: String,
    /// Mean solver iterations of a pixel; `None` where the layer does not tell.
    pub iterations: Option<f64>,
    /// Mean relative KKT residual ρ of a pixel, of an SDNet that of an image.
    #[serde(serialize_with = "figure")]
    pub kkt_mean: f64,
    /// Largest ρ.
    #[serde(serialize_with = "figure")]
    pub kkt_max: f64,
    /// Solves that ended at their cap, above the tolerance.
    pub capped: u64,
    /// What the linear systems of the backward pass report; `None` where there was no such pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward: Option<BackwardFigures>,
    /// What its codes are like; `None` where what it solves for is not sparse.
    #[serde(flatten)]
    pub codes: Option<CodeFigures>,
}

/// What the codes of one coding layer are like over an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CodeFigures {
    /// Share of codes that are not 0.
    pub active: f64,
    /// Mean over atoms of the weight λ₁ of the 1-norm.
    pub lambda1: f64,
    /// Atoms that no pixel used.
    pub unused_atoms: usize,
    /// Atoms.
    pub atoms: usize,
}

/// The figures of the backward solves of one coding layer over an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BackwardFigures {
    /// Mean price of a pixel's system: sweeps; 0 where it was factorised, 1 where the solution was refined as well.
    pub iterations: f64,
    /// Mean relative residual of a pixel's system.
    #[serde(serialize_with = "figure")]
    pub residual_mean: f64,
    /// Largest relative residual.
    #[serde(serialize_with = "figure")]
    pub residual_max: f64,
    /// Systems that ended at their cap, above the tolerance.
    pub capped: u64,
}

/// The figures of a split over an epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Images seen.
    pub images: usize,
    /// Mean loss.
    pub loss: f64,
    /// Accuracy in percent.
    pub top1: f64,
    /// Share of images whose label is among the five largest logits, in percent.
    pub top5: f64,
    /// One per coding layer.
    pub layers: Vec<LayerFigures>,
}

/// Running sums over an epoch, as a checkpoint keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    images: usize,
    #[serde(with = "exact")]
    loss: f64,
    top1: usize,
    top5: usize,
    layers: Vec<LayerSums>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LayerSums {
    /// Solves.
    pixels: u64,
    /// The sum of their iterations.
    #[serde(with = "exact")]
    iterations: f64,
    /// The sum of their residuals.
    #[serde(with = "exact")]
    residual: f64,
    #[serde(with = "exact")]
    residual_max: f64,
    /// Solves above the tolerance; older checkpoints do not count them.
    #[serde(default)]
    capped: u64,
    /// Of the backward pass; older checkpoints have none.
    #[serde(default)]
    backward: Option<BackwardSums>,
    /// Solves that each atom is active in.
    active: Vec<u64>,
}

/// Sums over the linear systems of the backward pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct BackwardSums {
    systems: u64,
    #[serde(with = "exact")]
    iterations: f64,
    #[serde(with = "exact")]
    residual: f64,
    #[serde(with = "exact")]
    residual_max: f64,
    capped: u64,
}

/// Batches whose sums stay on the device; more are read back at once.
const PENDING: usize = 64;

/// Collects an epoch's figures. The layers' sums of single batches stay on the device until they are asked for and are
/// added up in f64 in the order of the batches, so that figures do not depend on when that was.
pub struct Collector {
    sums: Sums,
    /// Images that each layer has reported of since there is this collector.
    reported: Vec<usize>,
    pending: Vec<Pending>,
}

/// What the layers report on one batch.
struct Pending {
    /// Solves and atoms of each layer.
    layers: Vec<(u64, usize)>,
    /// The layers' sums, one after the other: [`CodingSums::values`].
    values: Tensor<1>,
}

impl Collector {
    /// Goes on from the sums of a checkpoint, or starts with [`Sums::default`].
    pub fn new(sums: Sums) -> Self {
        Self {
            sums,
            reported: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Adds a batch.
    pub fn add(&mut self, counts: &Counts, codes: Vec<CodingReport>) {
        self.sums.images += counts.images;
        self.sums.loss += counts.loss;
        self.sums.top1 += counts.top1;
        self.sums.top5 += counts.top5;
        if codes.is_empty() {
            return;
        }
        let sums: Vec<_> = codes.into_iter().map(CodingReport::sums).collect();
        self.reported.resize(sums.len(), 0);
        let reported = self.reported.iter_mut().zip(&sums);
        reported.for_each(|(reported, sums)| *reported += sums.images);
        self.pending.push(Pending::of(sums));
        if self.pending.len() >= PENDING {
            self.read_back();
        }
    }

    /// Mean loss and top-1 in percent so far.
    pub fn progress(&self) -> (f64, f64) {
        let images = self.sums.images.max(1) as f64;
        (self.sums.loss / images, 100.0 * self.sums.top1 as f64 / images)
    }

    /// Images so far.
    pub fn images(&self) -> usize {
        self.sums.images
    }

    /// The first coding layer none of whose codes has been other than 0, for a collector that began with nothing; layers
    /// that report of some images only do not tell.
    pub fn silent_layer(&mut self, model: &impl Network) -> Option<CodingLayer> {
        let images = self.images();
        let reported = self.reported.clone();
        let layers = model.coding_layers().into_iter().zip(&self.sums().layers);
        let silent = |sums: &LayerSums| sums.active.iter().all(|&active| active == 0);
        let found = layers
            .zip(reported)
            .find(|((_, sums), of)| *of == images && silent(sums));
        found.map(|((layer, _), _)| layer)
    }

    /// The sums so far.
    pub fn sums(&mut self) -> &Sums {
        self.read_back();
        &self.sums
    }

    fn read_back(&mut self) {
        let (layers, tensors): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .map(|batch| (batch.layers, batch.values))
            .unzip();
        if tensors.is_empty() {
            return;
        }
        let all = values(Tensor::cat(tensors, 0));
        let mut rest = all.as_slice();
        for batch in layers {
            self.sums.layers.resize_with(batch.len(), LayerSums::default);
            for (sums, (pixels, atoms)) in self.sums.layers.iter_mut().zip(batch) {
                let (layer, behind) = rest.split_at(CodingSums::FIXED + atoms);
                sums.add(pixels, layer);
                rest = behind;
            }
        }
    }

    /// The figures so far; λ₁ is the model's of now.
    pub fn figures(&mut self, model: &impl Network) -> Figures {
        let sums = self.sums();
        let images = sums.images.max(1) as f64;
        let layers = model.reporting().into_iter().zip(&sums.layers);
        Figures {
            images: sums.images,
            loss: sums.loss / images,
            top1: 100.0 * sums.top1 as f64 / images,
            top5: 100.0 * sums.top5 as f64 / images,
            layers: layers
                .map(|(layer, sums)| sums.figures(layer.name, layer.lambda1.map(|lambda1| values(lambda1.mean())[0])))
                .collect(),
        }
    }
}

impl Pending {
    fn of(sums: Vec<CodingSums>) -> Self {
        let layers = sums.iter().map(|sums| (sums.places, sums.atoms)).collect();
        let values = sums.into_iter().map(|sums| sums.values).collect();
        Self {
            layers,
            values: Tensor::cat(values, 0),
        }
    }
}

impl LayerSums {
    fn add(&mut self, pixels: u64, values: &[f64]) {
        self.pixels += pixels;
        self.iterations += values[0];
        self.residual += values[1];
        self.residual_max = self.residual_max.max(values[2]);
        self.capped += values[3] as u64;
        if let [iterations, residual, residual_max, capped] = values[4..CodingSums::FIXED]
            && !iterations.is_nan()
        {
            let sums = self.backward.get_or_insert_default();
            sums.systems += pixels;
            sums.iterations += iterations;
            sums.residual += residual;
            sums.residual_max = sums.residual_max.max(residual_max);
            sums.capped += capped as u64;
        }
        let active = &values[CodingSums::FIXED..];
        self.active.resize(active.len(), 0);
        self.active
            .iter_mut()
            .zip(active)
            .for_each(|(sum, &active)| *sum += active as u64);
    }

    fn figures(&self, name: String, lambda1: Option<f64>) -> LayerFigures {
        let pixels = self.pixels.max(1) as f64;
        let atoms = self.active.len();
        LayerFigures {
            name,
            iterations: Some(self.iterations / pixels).filter(|iterations| !iterations.is_nan()),
            kkt_mean: self.residual / pixels,
            kkt_max: self.residual_max,
            capped: self.capped,
            backward: self.backward.as_ref().map(BackwardSums::figures),
            codes: lambda1.map(|lambda1| CodeFigures {
                active: self.active.iter().sum::<u64>() as f64 / (pixels * atoms.max(1) as f64),
                lambda1,
                unused_atoms: self.active.iter().filter(|&&active| active == 0).count(),
                atoms,
            }),
        }
    }
}

impl BackwardSums {
    fn figures(&self) -> BackwardFigures {
        let systems = self.systems.max(1) as f64;
        BackwardFigures {
            iterations: self.iterations / systems,
            residual_mean: self.residual / systems,
            residual_max: self.residual_max,
            capped: self.capped,
        }
    }
}

fn values(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
