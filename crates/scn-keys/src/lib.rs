//! The keys of configuration tables, each stated once: at the field that holds its value.
//!
//! [`table!`] declares a struct. The doc comment of a field is what is told of its key, its type is that of the value,
//! and the expression behind `=` says the default and the range, with the words of [`spec`]. From there come reading
//! and writing (of TOML, and by serde of any format), the check of ranges, and [`Field`]s, from which messages,
//! listings and reference pages are made. [`names!`] declares an enum whose values have names.
//!
//! ```
//! scn_keys::names! {
//!     /// The form of a slope.
//!     pub enum Slope {
//!         /// Half a cosine wave.
//!         Cosine = "cosine",
//!         /// A straight line.
//!         Line = "line",
//!     }
//! }
//!
//! scn_keys::table! {
//!     /// How a rate falls.
//!     #[derive(Copy)]
//!     pub struct Decline {
//!         /// Its form.
//!         pub slope: Slope = default(Slope::Cosine),
//!         /// Epochs that it takes.
//!         pub epochs: usize = default(10).within(whole(1, 1000)),
//!         /// Where it ends.
//!         pub end: Option<f64> = unset("at 0").within(finite_at_least(0.0)),
//!     }
//! }
//!
//! use scn_keys::Table;
//! let written = "epochs = 2000".parse()?;
//! let decline = Decline::read_table(&written).unwrap();
//! assert_eq!(decline, Decline { epochs: 2000, ..Decline::default() });
//! let wrong = decline.out_of_range();
//! assert_eq!((wrong[0].path.as_str(), wrong[0].found.as_str()), ("epochs", "2000"));
//! let keys = scn_keys::keys(&Decline::fields());
//! assert_eq!(keys[0].expected, "one of `cosine`, `line`");
//! assert_eq!((keys[1].doc, keys[1].default.as_str()), ("Epochs that it takes.", "10"));
//! # Ok::<(), toml::de::Error>(())
//! ```

mod buffer;
mod field;
mod key;
mod names;
mod range;
mod table;
mod value;
mod wrong;

pub use buffer::buffer;
pub use field::{Content, Field, KeyInfo, REQUIRED, keys};
pub use key::Key;
pub use names::Named;
pub use range::{Range, Whole};
pub use table::{Foreign, OutOfRange, Table, join};
pub use value::Value;
pub use wrong::{Problem, Wrong};

pub use serde;
pub use toml;

/// The words that a key is stated with; in scope behind the `=` of a field of [`table!`].
pub mod spec {
    pub use crate::key::{default, derived, of_kinds, required, table, unset};
    pub use crate::range::{at_least, below_one, between_zero_and_one, finite_at_least, positive, range, whole};
}

/// What the code of [`table!`] does with a single key, for tables that are more than one struct.
pub mod parts {
    pub use crate::table::{check, describe, fill, foreign, read, refuse_unknown, write};
}
