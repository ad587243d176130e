//! Values that have names.

/// One of a few values, each with its name.
pub trait Named: Copy + 'static {
    /// Every value, in the order in which messages list them.
    const ALL: &'static [Self];

    /// Its name in files.
    fn name(self) -> &'static str;
}

/// The names of all values, for messages.
fn names<T: Named>() -> String {
    let names: Vec<_> = T::ALL.iter().map(|value| value.name()).collect();
    format!("one of `{}`", names.join("`, `"))
}

impl<T: Named> crate::Value for T {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, crate::Wrong> {
        let named = |name: &str| T::ALL.iter().copied().find(|value| value.name() == name);
        let found = value.as_str().and_then(named);
        found.ok_or_else(|| crate::Wrong::expecting(names::<T>()))
    }

    fn write(&self) -> Option<toml::Value> {
        Some(self.name().into())
    }

    fn expected() -> String {
        names::<T>()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}

/// Declares an enum of values that have names, which files and serde use.
#[macro_export]
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl $crate::Named for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                Self::name(self)
            }
        }

        const _: () = {
            use $crate::serde::{Deserialize, Deserializer, Serialize, Serializer, de};

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.name())
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let value = $crate::buffer(deserializer)?;
                    $crate::Value::read(&value).map_err(<D::Error as de::Error>::custom)
                }
            }
        };
    };
}
