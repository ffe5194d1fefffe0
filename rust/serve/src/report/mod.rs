//! The numbers of a mount as a tree, whatever they are shown as.
//!
//! | concept | file |
//! |---|---|
//! | [`Value`]: numbers, texts, lists, and maps of them | `mod.rs` |
//! | which number has which name | `numbers.rs` |
//! | [`Reporter`]: who knows them | `reporter.rs` |
//! | JSON | `json.rs` |
//! | the text that Prometheus reads | `prometheus.rs` |

mod json;
mod numbers;
mod prometheus;
mod reporter;

use std::ffi::{OsStr, OsString};

pub(crate) use prometheus::MEDIA_TYPE;
use prometheus::exposition;
pub(crate) use reporter::Reporter;

/// A number, a text, or several of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A number of seconds.
    Seconds(f64),
    /// A text; it may be a path.
    Text(OsString),
    /// Several values in order.
    List(Vec<Self>),
    /// Values by name.
    Map(Vec<(&'static str, Self)>),
}

impl Value {
    /// Values by name.
    pub fn map<const N: usize>(values: [(&'static str, Self); N]) -> Self {
        Self::Map(values.into())
    }

    /// Adds the values of another map; what both have are maps, and their values are added.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        if let (Self::Map(values), Self::Map(others)) = (&mut self, other) {
            for (name, other) in others {
                match values.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, value)) => {
                        let known = std::mem::replace(value, Self::Count(0));
                        *value = known.with(other);
                    }
                    None => values.push((name, other)),
                }
            }
        }
        self
    }

    /// What is at the end of a path of names.
    pub fn get(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let Self::Map(values) = self else { return None };
        values.iter().find(|(name, _)| name == first)?.1.get(rest)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<std::time::Duration> for Value {
    fn from(time: std::time::Duration) -> Self {
        Self::Seconds(time.as_secs_f64())
    }
}

impl From<&OsStr> for Value {
    fn from(text: &OsStr) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_merged_at_every_depth() {
        let one = Value::map([("a", Value::map([("x", 1_u64.into())])), ("b", 2_u64.into())]);
        let other = Value::map([("a", Value::map([("y", 3_u64.into())])), ("c", "d".into())]);
        let both = one.with(other);
        assert_eq!(both.get(&["a", "x"]), Some(&Value::Count(1)));
        assert_eq!(both.get(&["a", "y"]), Some(&Value::Count(3)));
        assert_eq!(both.get(&["c"]), Some(&"d".into()));
        assert_eq!(both.get(&["b", "x"]), None);
    }
}
