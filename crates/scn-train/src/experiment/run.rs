//! The `run` table.

use scn_ops::DeviceRequest;

scn_keys::table! {
    /// Where the experiment runs and what it saves.
    pub struct RunConfig {
        /// The device.
        pub device: DeviceRequest = default(DeviceRequest::Auto),
        /// Threads of the CPU kernels; 0: one on each core.
        pub threads: usize = default(0).within(whole(0, 1024)),
        /// Epochs between checkpoints; the last epoch always leaves one.
        pub checkpoint_every: usize = default(1).within(whole(1, 1_000_000)),
        /// Minutes between checkpoints inside an epoch; 0: none.
        pub checkpoint_minutes: f64 = default(10.0).within(finite_at_least(0.0)),
    }
}
