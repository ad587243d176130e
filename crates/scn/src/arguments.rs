//! Values of options that several commands take.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use scn_data::Split;
use scn_ops::DeviceRequest;
use scn_train::DataConfig;

use crate::device;
use crate::exit::Usage;

/// Where runs lie unless --out says otherwise.
pub(crate) const RUNS: &str = "runs";

/// Accepts the names of `values`.
pub(crate) fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.map(name)).try_map(move |given| {
        let value = values.into_iter().find(|&value| name(value) == given);
        value.ok_or_else(|| format!("there is no {given}"))
    })
}

/// Accepts the names of devices.
pub(crate) fn device_name() -> impl TypedValueParser<Value = DeviceRequest> {
    one_of(DeviceRequest::ALL, DeviceRequest::name)
}

/// Accepts whole numbers from `least` to a million.
pub(crate) fn count(least: u64) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(least..=1_000_000)
}

/// A length above 0, as in `0.03` or `8/255`.
pub(crate) fn length(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    value
        .filter(|value| value.is_finite() && *value > 0.0)
        .ok_or_else(|| "expected a finite number above 0, as in 0.03 or 8/255".into())
}

/// Which test images a command takes, and what computes with them.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Take this many test images [default: as in the run]
    #[arg(long, value_name = "N")]
    test_images: Option<usize>,
    /// Where the datasets lie [default: as in the run]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Device
    #[arg(long, value_parser = device_name(), default_value = "auto")]
    device: DeviceRequest,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl TestArgs {
    /// The data of a run, with what the command line changes.
    pub(crate) fn data(&self, of_run: &DataConfig) -> Result<DataConfig, Usage> {
        let mut data = of_run.clone();
        if let Some(dir) = &self.data_dir {
            data.dir.clone_from(dir);
        }
        if let Some(images) = self.test_images {
            let available = data.dataset.info().images(Split::Test);
            if !(1..=available).contains(&images) {
                let message = format!("--test-images {images}: {} has {available} test images", data.dataset);
                return Err(Usage(format!("{message}: expected 1 to {available}")));
            }
            data.test_images = Some(images);
        }
        Ok(data)
    }

    /// The device, without autodiff.
    pub(crate) fn open_device(&self) -> anyhow::Result<Device> {
        device::open(self.device, self.threads)
    }
}
