//! What is wrong in a TOML file, shown in its line with a caret.

use super::literal::LiteralError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a file, and where in it, where that can be told.
#[derive(Debug)]
pub(crate) struct Mistake {
    place: Place,
    message: String,
}

#[derive(Debug)]
enum Place {
    /// These bytes of the file.
    Bytes(Range<usize>),
    /// The value that these keys lead to, or the last of them that there is.
    Value(Vec<String>),
}

impl From<String> for Mistake {
    fn from(message: String) -> Self {
        Self::of_value(&[], message)
    }
}

impl Mistake {
    /// A mistake that is the whole of a quoted text.
    pub(crate) fn of(quoted: &Spanned<String>, message: String) -> Self {
        Self::at(quoted.span(), message)
    }

    /// A mistake in these bytes of the file.
    pub(crate) fn at(bytes: Range<usize>, message: String) -> Self {
        Self {
            place: Place::Bytes(bytes),
            message,
        }
    }

    /// A mistake in the value that these keys lead to.
    pub(crate) fn of_value(way: &[&str], message: String) -> Self {
        let way = way.iter().map(|key| (*key).to_owned()).collect();
        Self {
            place: Place::Value(way),
            message,
        }
    }

    /// The same where its keys stand in the table that these lead to.
    pub(crate) fn below(self, table: &[&str]) -> Self {
        match self.place {
            Place::Bytes(_) => self,
            Place::Value(way) => {
                let table = table.iter().map(|key| (*key).to_owned());
                Self {
                    place: Place::Value(table.chain(way).collect()),
                    message: self.message,
                }
            }
        }
    }

    /// A mistake in a quoted text, which stands at this many of its bytes.
    pub(super) fn inside(
        quoted: &Spanned<String>,
        file: &str,
        key: &str,
        error: &LiteralError,
    ) -> Self {
        let span = quoted.span();
        let token = &file[span.clone()];
        let quotes = match token {
            _ if token.starts_with("\'\'\'") => 3,
            _ => 1,
        };
        // Where the file has escapes of its own, the places in it are others than those in the text.
        let is_plain = token.starts_with('\'') || !token.contains('\\');
        let length = match quoted.get_ref().get(error.offset..) {
            Some(rest) if rest.starts_with('{') => rest.find('}').map_or(1, |end| end + 1),
            _ => 1,
        };
        let start = span.start + quotes + error.offset;
        let bytes = match is_plain {
            true => start..start + length,
            false => span,
        };
        Self::at(bytes, format!("{key}: {error}"))
    }

    /// What is wrong, without its place.
    pub(crate) fn message(self) -> String {
        self.message
    }

    /// The message with the line of the file, and a caret under the place.
    pub(crate) fn shown(&self, file: &str) -> String {
        let place = match &self.place {
            Place::Bytes(bytes) => Some(bytes.clone()),
            Place::Value(way) => value_at(file, way),
        };
        let Some(place) = place else {
            return self.message.clone();
        };
        let before = &file[..place.start];
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = file[start..].lines().next().unwrap_or_default();
        let column = file[start..place.start].chars().count();
        // What goes on in other lines is shown by its first one.
        let end = place.end.min(start + line.len()).max(place.start);
        let carets = file[place.start..end].chars().count().max(1);
        let margin = " ".repeat(number.to_string().len());
        format!(
            "TOML parse error at line {number}, column {}\n{margin} |\n{number} | {line}\n{margin} | {}{}\n{}",
            column + 1,
            " ".repeat(column),
            "^".repeat(carets),
            self.message
        )
    }
}

/// Where the value stands that these keys lead to, or else the last of them that there is.
fn value_at(file: &str, way: &[String]) -> Option<Range<usize>> {
    let file = DeTable::parse(file).ok()?;
    let mut found = None;
    let mut table = Some(file.get_ref());
    let mut list = None::<&[Spanned<DeValue<'_>>]>;
    for key in way {
        let of_table = table.and_then(|table| table.get(key.as_str()));
        let of_list = || list?.get(key.parse::<usize>().ok()?);
        let Some(value) = of_table.or_else(of_list) else {
            break;
        };
        found = Some(value.span());
        table = value.get_ref().as_table();
        list = value.get_ref().as_array().map(|list| &list[..]);
    }
    found
}

/// Reads a value that is a text or a table. What serde keeps for a second look, as it does for what is untagged, has lost its
/// place in the file, and tells nothing of what is wrong with either.
///
/// # Errors
/// It is neither, or says what is wrong with the one that it is.
pub(crate) fn text_or_table<'de, D, T, Table>(
    from: D,
    expecting: &'static str,
    of_text: fn(&str) -> Result<T, String>,
    of_table: fn(Table) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    Table: Deserialize<'de>,
{
    from.deserialize_any(Either {
        expecting,
        of_text,
        of_table,
        table: PhantomData,
    })
}

struct Either<T, Table> {
    expecting: &'static str,
    of_text: fn(&str) -> Result<T, String>,
    of_table: fn(Table) -> T,
    table: PhantomData<Table>,
}

impl<'de, T, Table: Deserialize<'de>> Visitor<'de> for Either<T, Table> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.of_text)(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(self.of_table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: &str, way: &[&str]) -> String {
        Mistake::of_value(way, "wrong".to_owned()).shown(file)
    }

    #[test]
    fn value_is_found_by_the_keys_that_lead_to_it() {
        let file = "a = 1\n[b.c]\nd = ['x', { e = 'é', f = 2 }]\n";
        let line_3 = "TOML parse error at line 3, column ";
        for (way, place) in [
            (&["b", "c", "d", "0"][..], format!("{line_3}6\n  |\n3 |")),
            (&["b", "c", "d", "1", "f"], format!("{line_3}26\n")),
            (&["b", "c", "d", "7"], format!("{line_3}5\n")),
            (
                &["b", "c", "none"],
                "TOML parse error at line 2, ".to_owned(),
            ),
            (
                &["a", "none"],
                "TOML parse error at line 1, column 5\n".to_owned(),
            ),
        ] {
            let shown = shown(file, way);
            assert!(shown.starts_with(&place), "{way:?}: {shown}");
        }
        assert_eq!(shown(file, &["none"]), "wrong");
        assert_eq!(shown(file, &[]), "wrong");
    }
}
