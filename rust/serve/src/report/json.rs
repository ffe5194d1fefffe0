//! Values as JSON.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter, Write as _};

use super::Value;

impl Display for Value {
    /// As JSON on one line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Seconds(seconds) => write!(f, "{seconds:?}"),
            Self::Text(text) => write_text(f, text),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    separate(f, index)?;
                    value.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Map(values) => {
                f.write_char('{')?;
                for (index, (name, value)) in values.iter().enumerate() {
                    separate(f, index)?;
                    write_text(f, OsStr::new(name))?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn separate(f: &mut Formatter<'_>, index: usize) -> fmt::Result {
    if index == 0 { Ok(()) } else { f.write_char(',') }
}

/// Bytes that are no UTF-8 are written as the surrogates that Python makes of them.
fn write_text(f: &mut Formatter<'_>, text: &OsStr) -> fmt::Result {
    f.write_char('"')?;
    for chunk in text.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\udc{byte:02x}")?;
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn values_are_json() {
        let value = Value::map([
            ("count", 3_u64.into()),
            ("seconds", Value::Seconds(1.5e-7)),
            ("list", Value::List(vec![1_u64.into(), Value::Seconds(2.0)])),
            ("empty", Value::Map(Vec::new())),
        ]);
        let json = r#"{"count":3,"seconds":1.5e-7,"list":[1,2.0],"empty":{}}"#;
        assert_eq!(value.to_string(), json);
    }

    #[test]
    fn texts_are_escaped() {
        let text = Value::from(OsStr::from_bytes(b"a\"\\\n\xc3\xa9\xff\x7f"));
        assert_eq!(text.to_string(), "\"a\\\"\\\\\\u000aé\\udcff\\u007f\"");
    }
}
