//! What is stated of a key besides its doc comment and its type.

use crate::range::Range;
use crate::value::Value;

/// The default and the range of a key that holds a `T`.
pub struct Key<T: Value> {
    /// What it holds where it is not written; `None`: it has to be.
    pub(crate) initial: Option<T>,
    /// What a key of some kinds of table only holds where it is not written in a table of such a kind.
    pub(crate) filled: Option<T>,
    /// The default in words, where a value would not say it.
    pub(crate) words: Option<&'static str>,
    pub(crate) range: Option<Range<T::Item>>,
    /// The kinds of its table that have it; empty: all.
    pub(crate) kinds: Vec<&'static str>,
}

impl<T: Value> Key<T> {
    fn new(initial: Option<T>) -> Self {
        Self {
            initial,
            filled: None,
            words: None,
            range: None,
            kinds: Vec::new(),
        }
    }

    /// Limits what its value may be.
    #[must_use]
    pub fn within(mut self, range: Range<T::Item>) -> Self {
        self.range = Some(range);
        self
    }

    /// What a struct of defaults holds.
    ///
    /// # Panics
    /// Where the key is required: a table with such a key is declared by [`required_table!`](crate::required_table).
    #[doc(hidden)]
    pub fn of_default(self) -> T {
        match self.initial {
            Some(value) => value,
            None => panic!("a required key has no default"),
        }
    }
}

/// A key with this default.
pub fn default<T: Value>(value: T) -> Key<T> {
    Key::new(Some(value))
}

/// A key with this default, which stands for something that words say better.
pub fn derived<T: Value>(value: T, words: &'static str) -> Key<T> {
    Key {
        words: Some(words),
        ..Key::new(Some(value))
    }
}

/// A key without which there is no table.
pub fn required<T: Value>() -> Key<T> {
    Key::new(None)
}

/// A key that may have no value, which means what `words` say.
pub fn unset<T: Value>(words: &'static str) -> Key<Option<T>> {
    derived(None, words)
}

/// A table of defaults below a table.
pub fn table<T: Value + Default>() -> Key<T> {
    default(T::default())
}

/// A key of some kinds of its table only, with its default there; `None`: it is required there.
pub fn of_kinds<T: Value>(kinds: impl IntoIterator<Item = &'static str>, value: Option<T>) -> Key<Option<T>> {
    Key {
        kinds: kinds.into_iter().collect(),
        filled: value.map(Some),
        ..Key::new(Some(None))
    }
}
