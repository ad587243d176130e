//! Opens the device of a command and sets the number of threads.

use anyhow::Context;
use burn::tensor::Device;
use scn_ops::DeviceRequest;
use scn_solver::SimdLevel;

use crate::exit::Usage;

/// The device without autodiff. `threads` 0 uses all cores.
pub(crate) fn open(request: DeviceRequest, threads: usize) -> anyhow::Result<Device> {
    SimdLevel::requested().map_err(Usage)?;
    start_threads(threads)?;
    Ok(scn_ops::open(request)?)
}

/// Starts the threads of a command; 0 uses all cores.
pub(crate) fn start_threads(threads: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("cannot start the threads")
}
