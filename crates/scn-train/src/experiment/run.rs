//! The `run` table.

use scn_ops::DeviceRequest;

scn_keys::names! {
    /// The views of an image whose logits are averaged.
    #[derive(Default)]
    pub enum TestTime {
        /// The image alone.
        #[default]
        None = "none",
        /// It and its mirror image.
        Flip = "flip",
        /// These, and both moved by a pixel down and to the right, and up and to the left.
        FlipShift = "flip-shift",
    }
}

impl TestTime {
    /// Whether it is the image alone.
    pub(crate) fn is_none(&self) -> bool {
        *self == TestTime::None
    }
}

scn_keys::table! {
    /// Where the experiment runs, what it saves, and how it is tested.
    pub struct RunConfig {
        /// The device.
        pub device: DeviceRequest = default(DeviceRequest::Auto),
        /// Threads of the CPU kernels; 0: one on each core.
        pub threads: usize = default(0).within(whole(0, 1024)),
        /// Epochs between checkpoints; the last epoch always leaves one.
        pub checkpoint_every: usize = default(1).within(whole(1, 1_000_000)),
        /// Minutes between checkpoints inside an epoch; 0: none.
        pub checkpoint_minutes: f64 = default(10.0).within(finite_at_least(0.0)),
        /// What the test and scn eval average the logits of, not validation: "flip" of an image and its mirror image, a half
        /// each; "flip-shift" of both (1/4 each), and of both moved by (1, 1) and by (-1, -1) pixels, zeros entering (1/8
        /// each) (airbench, arXiv:2404.00498).
        pub test_time: TestTime = default(TestTime::None),
    }
}
