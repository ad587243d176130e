//! What a run is started on.

use std::fs;

use serde::Serialize;

/// Recorded with every start of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// Version of the program.
    pub version: &'static str,
    /// Commit it was built from, where it was built in a checkout.
    pub commit: Option<&'static str>,
    /// Device and driver.
    pub device: String,
    /// Processor.
    pub processor: String,
    /// Level of the CPU kernels.
    pub simd: &'static str,
    /// Threads.
    pub threads: usize,
    /// The command line.
    pub command: Vec<String>,
}

impl Environment {
    /// Of this process.
    pub fn now(device: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("SCN_COMMIT"),
            device,
            processor: processor(),
            simd: scn_solver::SimdLevel::detect().name(),
            threads: rayon::current_num_threads(),
            command: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
        }
    }
}

fn processor() -> String {
    let named = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    });
    named.unwrap_or_else(|| std::env::consts::ARCH.to_string())
}

/// Peak resident memory of this process in bytes, where the system tells it.
pub fn peak_memory() -> Option<u64> {
    #[cfg(unix)]
    {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
        // Linux counts kibibytes, macOS bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        u64::try_from(usage.max_rss()).ok().map(|rss| rss * unit)
    }
    #[cfg(not(unix))]
    None
}
