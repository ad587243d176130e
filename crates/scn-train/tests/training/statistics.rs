//! Figures of an epoch against direct sums over codes and residuals.

use burn::tensor::{Device, Tensor, TensorData};
use scn_models::{CodingReport, Model, Network, Pass};
use scn_train::loss::Counts;
use scn_train::{Collector, Figures, Sums};

use crate::common::small;

const BATCHES: usize = 5;

fn model() -> Model {
    let overrides = ["model.lambda1.initial=0.05", "model.lambda1.per_atom=true"];
    Model::new(&small(&overrides).experiment.model, [1, 8, 8], 10, 1, &Device::flex()).unwrap()
}

fn batch(index: usize) -> Tensor<4> {
    // The last batch is smaller.
    let images = if index + 1 == BATCHES { 1 } else { 3 };
    let values = (0..images * 49)
        .map(|i| (1.3 * (i * (index + 1)) as f64).sin() as f32)
        .collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, [images, 1, 7, 7]), &Device::flex())
}

fn add(collector: &mut Collector, model: &Model, index: usize) {
    let output = model.forward(batch(index), &Pass::EVALUATION);
    let logits: Vec<f32> = output.logits.into_data().try_into_vec().unwrap();
    let labels = vec![(index % 10) as i32; logits.len() / 10];
    collector.add(&Counts::of(&logits, &labels, 0.0), output.codes);
}

fn all(model: &Model) -> Figures {
    let mut collector = Collector::new(Sums::default());
    (0..BATCHES).for_each(|index| add(&mut collector, model, index));
    collector.figures(model)
}

#[test]
fn are_those_of_the_codes() {
    let model = model();
    let figures = all(&model);
    assert_eq!(figures.layers.len(), 14);
    assert_eq!(figures.images, 13);
    let mut unused = 0;
    for (l, layer) in figures.layers.iter().enumerate() {
        let (mut pixels, mut iterations, mut residual, mut largest) = (0.0, 0.0, 0.0, 0.0f64);
        let of_codes = layer.codes.unwrap();
        let mut active = vec![0usize; of_codes.atoms];
        for index in 0..BATCHES {
            let mut codes = Vec::new();
            let output = model.forward_observed(batch(index), &Pass::EVALUATION, &mut |_, x| codes.push(x.clone()));
            let [_, atoms, height, width] = codes[l].dims();
            assert_eq!(atoms, of_codes.atoms);
            let plane = height * width;
            for (i, code) in codes[l].to_data().iter::<f32>().enumerate() {
                active[i / plane % atoms] += usize::from(code > 0.0);
            }
            let CodingReport::Pixels(info) = &output.codes[l] else {
                panic!("codes of whole images")
            };
            for (i, value) in info.solves.to_data().iter::<f64>().enumerate() {
                if i / plane % 2 == 0 {
                    iterations += value;
                    pixels += 1.0;
                } else {
                    residual += value;
                    largest = largest.max(value);
                }
            }
        }
        assert_eq!(layer.name, format!("layers.{l}.coding"));
        let mean = layer.iterations.unwrap();
        assert!((mean - iterations / pixels).abs() < 1e-9 * (1.0 + mean));
        assert!(
            (layer.kkt_mean - residual / pixels).abs() <= 1e-5 * layer.kkt_mean,
            "{}",
            layer.kkt_mean
        );
        assert_eq!(layer.kkt_max, largest);
        let share = active.iter().sum::<usize>() as f64 / (pixels * active.len() as f64);
        assert!((of_codes.active - share).abs() < 1e-12, "{} {share}", of_codes.active);
        assert_eq!(
            of_codes.unused_atoms,
            active.iter().filter(|&&count| count == 0).count()
        );
        assert!((of_codes.lambda1 - 0.05).abs() < 1e-8);
        unused += of_codes.unused_atoms;
    }
    assert!(unused > 0, "no atom of this network is unused: the count is not tested");
    assert!(figures.layers[0].iterations.unwrap() > 1.0 && figures.layers[0].codes.unwrap().active > 0.05);
}

#[test]
fn loss_and_accuracy_are_means_over_images() {
    let model = model();
    let (mut loss, mut top1, mut top5) = (0.0, 0, 0);
    for index in 0..BATCHES {
        let logits: Vec<f64> = model
            .forward(batch(index), &Pass::EVALUATION)
            .logits
            .into_data()
            .iter::<f64>()
            .collect();
        for row in logits.chunks_exact(10) {
            let label = row[index % 10];
            // An untrained network that evaluates has huge logits.
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            loss += largest - label + row.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
            let larger = row.iter().filter(|&&z| z > label).count();
            top1 += usize::from(larger == 0);
            top5 += usize::from(larger < 5);
        }
    }
    let figures = all(&model);
    assert!(
        (figures.loss - loss / 13.0).abs() < 1e-9 * loss,
        "{} {}",
        figures.loss,
        loss / 13.0
    );
    assert!((figures.top1 - 100.0 * top1 as f64 / 13.0).abs() < 1e-9);
    assert!((figures.top5 - 100.0 * top5 as f64 / 13.0).abs() < 1e-9);
}

#[test]
fn survive_a_checkpoint_between_any_two_batches() {
    let model = model();
    let expected = all(&model);
    for interrupted in 0..=BATCHES {
        let mut collector = Collector::new(Sums::default());
        (0..interrupted).for_each(|index| add(&mut collector, &model, index));
        let saved = serde_json::to_string(collector.sums()).unwrap();
        let mut collector = Collector::new(serde_json::from_str(&saved).unwrap());
        (interrupted..BATCHES).for_each(|index| add(&mut collector, &model, index));
        assert_eq!(
            collector.figures(&model),
            expected,
            "interrupted after {interrupted} batches"
        );
    }
}

#[test]
fn sums_are_read_back_bit_for_bit() {
    // Values whose shortest decimal form serde_json's number parser rounds otherwise.
    let mut value = 1.0f64;
    for _ in 0..2000 {
        value = (value * 1.618_033_988_749_895 + 0.1).rem_euclid(1000.0);
        let mut collector = Collector::new(Sums::default());
        collector.add(
            &Counts {
                images: 1,
                loss: value,
                top1: 0,
                top5: 0,
            },
            Vec::new(),
        );
        let saved = serde_json::to_string(collector.sums()).unwrap();
        let restored: Sums = serde_json::from_str(&saved).unwrap();
        assert_eq!(&restored, collector.sums());
    }
}

#[test]
fn many_batches_are_read_back_in_order() {
    let model = model();
    let mut collector = Collector::new(Sums::default());
    for _ in 0..150 {
        add(&mut collector, &model, 0);
    }
    let mut once = Collector::new(Sums::default());
    add(&mut once, &model, 0);
    let (many, once) = (collector.figures(&model), once.figures(&model));
    assert_eq!(many.images, 450);
    for (many, once) in many.layers.iter().zip(&once.layers) {
        assert!((many.iterations.unwrap() - once.iterations.unwrap()).abs() < 1e-9);
        assert!((many.kkt_mean - once.kkt_mean).abs() < 1e-9 * (1e-12 + once.kkt_mean));
        let (of_many, of_once) = (many.codes.unwrap(), once.codes.unwrap());
        assert!((of_many.active - of_once.active).abs() < 1e-12);
        assert_eq!(
            (many.kkt_max, of_many.unused_atoms),
            (once.kkt_max, of_once.unused_atoms)
        );
    }
}

#[test]
fn an_infinite_residual_is_a_string_in_json() {
    let model = model();
    let mut figures = all(&model);
    figures.layers[0].kkt_max = f64::INFINITY;
    figures.layers[1].kkt_mean = f64::INFINITY;
    let json = serde_json::to_value(&figures).unwrap();
    assert_eq!(json["layers"][0]["kkt_max"], "inf");
    assert_eq!(json["layers"][0]["kkt_mean"], figures.layers[0].kkt_mean);
    assert_eq!(json["layers"][1]["kkt_mean"], "inf");
}
