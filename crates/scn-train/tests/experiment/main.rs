//! Experiment files: what they default to, what is refused and how, and that they can be written out.

mod combinations;
mod common;
mod comparisons;
mod defaults;
mod files;
mod overrides;
mod printing;
mod resuming;
mod shipped;
mod unknown_keys;
mod values;
