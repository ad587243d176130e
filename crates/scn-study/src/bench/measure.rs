//! What measurements amount to: medians, spreads, and the machine's peak.

use burn::tensor::{Device, Tensor};
use scn_ops::has_tile_kernels;
use scn_solver::{SimdLevel, kernels};

use crate::StudyError;

/// Bursts of multiply-adds at the beginning, and again at the end, of a measurement.
const BURSTS: usize = 20;

/// The value below which the share `share` of the values lies, interpolated; NaN counts as the largest, and there is
/// none of no values.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    if below == above {
        return below;
    }
    below + place.fract() * (above - below)
}

/// A measurement that was repeated.
#[derive(Clone, Copy)]
pub(super) struct Repeated {
    pub(super) median: f64,
    /// First and third quartile.
    pub(super) quartiles: [f64; 2],
}

impl Repeated {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        Self {
            median: quantile(&mut values, 0.5),
            quartiles: [0.25, 0.75].map(|share| quantile(&mut values, share)),
        }
    }
}

/// The processor's peak, where a device computes with the tile kernels: measured at the beginning and at the end, as
/// the clock may change in between. The best burst counts, since other processes only slow bursts down.
pub(super) struct Peak {
    level: Option<SimdLevel>,
    best: f64,
}

impl Peak {
    pub(super) fn begin(device: &Device) -> Self {
        let mut peak = Self {
            level: has_tile_kernels(device).then(SimdLevel::detect),
            best: 0.0,
        };
        peak.measure();
        peak
    }

    /// 10⁹ floating-point operations per second of all threads; `None` on devices without a peak.
    pub(super) fn end(mut self) -> Option<f64> {
        self.measure();
        self.level.map(|_| self.best / 1e9)
    }

    fn measure(&mut self) {
        if let Some(level) = self.level {
            self.best = (0..BURSTS).map(|_| kernels::peak(level)).fold(self.best, f64::max);
        }
    }
}

/// The iterations and the residuals ρ of the solves `[b, 2, h, w]` that a layer reports.
pub(super) fn iterations_and_residuals(solves: Tensor<4>) -> (Vec<f64>, Vec<f64>) {
    let [batch, _, height, width] = solves.dims();
    let channel = |channel: usize| {
        let values = solves
            .clone()
            .slice([0..batch, channel..channel + 1, 0..height, 0..width]);
        values.into_data().iter::<f64>().collect()
    };
    (channel(0), channel(1))
}

/// Waits until the device is done.
pub(super) fn synchronize(device: &Device) -> Result<(), StudyError> {
    device.sync().map_err(|error| StudyError::Device(error.to_string()))
}
