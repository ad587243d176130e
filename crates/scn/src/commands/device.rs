//! `scn device`: which device there is, and what it lends to the kernels.

use std::process::ExitCode;

use scn_ops::{DeviceRequest, describe, workgroup_limits};
use scn_solver::SimdLevel;
use serde::Serialize;

use crate::arguments::device_name;
use crate::exit::Usage;
use crate::log;
use crate::output::{print, print_json};

/// Show a device and its limits
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn device
  scn device --device wgpu --json

The device is opened, and no more. Of a wgpu adapter the shared memory and the units of a workgroup are shown, by
which the kernels choose their tiles.")]
pub(crate) struct Args {
    /// Device
    #[arg(long, default_value = DeviceRequest::default().name(), value_parser = device_name())]
    device: DeviceRequest,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    device: String,
    /// Level of the CPU kernels.
    simd: &'static str,
    /// Bytes of shared memory of a workgroup; `None` where the device is no wgpu adapter.
    workgroup_shared_bytes: Option<usize>,
    /// Units of a workgroup; `None` likewise.
    workgroup_units: Option<usize>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    let simd = SimdLevel::requested().map_err(Usage)?.unwrap_or_else(SimdLevel::detect);
    let device = scn_ops::open(args.device)?;
    let limits = workgroup_limits(&device);
    let report = Report {
        device: describe(&device),
        simd: simd.name(),
        workgroup_shared_bytes: limits.map(|limits| limits.shared_bytes),
        workgroup_units: limits.map(|limits| limits.units),
    };
    if args.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(report: &Report) -> String {
    let mut text = format!("device     {}\nsimd       {}\n", report.device, report.simd);
    if let (Some(bytes), Some(units)) = (report.workgroup_shared_bytes, report.workgroup_units) {
        text += &format!("workgroup  {bytes} bytes of shared memory, {units} units\n");
    }
    text
}
