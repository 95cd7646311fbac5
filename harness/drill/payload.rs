//! Data that is written in another way than as a text: by a name, from a file, in digits.

use super::diagnostic::Diagnostic;
use super::reader::{Read, Reader};
use crate::model::data::{Data, Source};
use crate::model::literal::escaped;
use crate::model::text_file::Kind;
use data_encoding::{BASE64, DecodeError, Encoding, HEXLOWER_PERMISSIVE};

/// Data with a name, for all lines below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The name.
    pub(crate) name: String,
    /// The data.
    pub(crate) data: Data,
}

/// Reads hexadecimal digits, with spaces where they help the eye.
pub(super) fn hex(line: &mut Reader<'_>) -> Read<Source> {
    let digits = line.decoded(
        "hexadecimal digits in quotes, such as \"48 69\"",
        |digits| {
            decoded(
                &HEXLOWER_PERMISSIVE,
                digits,
                "hexadecimal digits, two for each byte",
            )
        },
    )?;
    let words = format!("hex \"{}\"", in_hex(&digits));
    Ok(written(words, digits))
}

/// Reads base64 (RFC 4648, section 4).
pub(super) fn base64(line: &mut Reader<'_>) -> Read<Source> {
    let bytes = line.decoded("base64 in quotes, such as \"SGk=\"", |text| {
        decoded(&BASE64, text, "base64, four letters for three bytes")
    })?;
    let words = format!("base64 \"{}\"", BASE64.encode(&bytes));
    Ok(written(words, bytes))
}

/// Reads the name of a file, the way to which begins at the scenario, and its bytes.
pub(super) fn file(line: &mut Reader<'_>) -> Read<Source> {
    let name = line.text("the name of a file in quotes, such as \"request.bin\"")?;
    let folder = line.known.folder.ok_or_else(|| {
        Diagnostic::new(line.last(), "there is no folder to look for this file in")
            .label("write the scenario into a file, or the bytes as hex or base64")
    })?;
    let bytes = Kind::PAYLOAD.bytes_found(&folder.join(&name));
    let bytes = bytes.map_err(|error| Diagnostic::new(line.last(), error.chain()))?;
    let words = format!("file \"{}\"", escaped(name.as_bytes()));
    Ok(written(words, bytes))
}

fn written(words: String, bytes: Vec<u8>) -> Source {
    let data = Box::new(Data::literal(bytes));
    Source::Written { words, data }
}

/// The bytes behind a name.
pub(super) fn named(payload: &Payload) -> Source {
    Source::Written {
        words: payload.name.clone(),
        data: Box::new(payload.data.clone()),
    }
}

/// Decodes what may have spaces and line breaks in it.
fn decoded(encoding: &Encoding, text: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
    let bare: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    encoding
        .decode(&bare)
        .map_err(|DecodeError { position, .. }| {
            let wrong = bare
                .get(position)
                .map(|byte| format!("`{}` is none of them: ", byte.escape_ascii()));
            format!("{}write {wanted}", wrong.unwrap_or_default())
        })
}

/// Two digits a byte, in groups of four.
fn in_hex(bytes: &[u8]) -> String {
    let groups: Vec<_> = bytes
        .chunks(2)
        .map(|two| HEXLOWER_PERMISSIVE.encode(two))
        .collect();
    groups.join(" ")
}
