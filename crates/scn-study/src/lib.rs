//! What is done with trained networks and with the machine: robust inference, adversarial attacks, the guarantees of sparse
//! coding, comparisons of networks, problems from files, and measurements of speed.
//!
//! A study takes arguments and a device, tells its steps to a callback, and returns plain results, which serialise to what
//! `--json` prints. It prints nothing. What can take hours is returned before it is stored: callers show it, then store it.

pub mod attack;
pub mod bench;
pub mod comparison;
mod error;
pub mod robust;
pub mod solve;
mod store;
pub mod theory;
mod weights;
mod words;

pub use error::StudyError;
pub use store::{store_beside, write_file};
pub use weights::{Trained, imported};
pub use words::grouped;
