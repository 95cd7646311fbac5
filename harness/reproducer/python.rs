//! Values and calls as Python writes them, in lines that are not too long.

use crate::foreign::{LINE, is_active};
use std::time::Duration;

/// The longest line that Python's style guide allows (PEP 8).
pub(super) const WIDTH: usize = 79;

/// How much of a line is left to what stands inside of a call, two levels deep in a function.
pub(super) const INNER_WIDTH: usize = 56;

/// An expression in one line or several.
pub(super) type Lines = Vec<String>;

/// A call of `head`, in one line where it fits into `width`.
pub(super) fn call(width: usize, head: &str, arguments: &[Lines]) -> Lines {
    let flat: Option<Vec<&str>> = arguments
        .iter()
        .map(|lines| match lines.as_slice() {
            [line] => Some(line.as_str()),
            _ => None,
        })
        .collect();
    let flat = flat.map(|flat| format!("{head}({})", flat.join(", ")));
    if let Some(line) = flat.filter(|line| line.chars().count() <= width) {
        return vec![line];
    }
    let mut lines = vec![format!("{head}(")];
    for argument in arguments {
        lines.extend(argument.iter().map(|line| format!("    {line}")));
        if let Some(last) = lines.last_mut() {
            last.push(',');
        }
    }
    lines.push(")".to_owned());
    lines
}

/// A call inside of another.
pub(super) fn inner_call(head: &str, arguments: &[Lines]) -> Lines {
    call(INNER_WIDTH, head, arguments)
}

/// Bytes that stand behind each other, in one line where that is short.
pub(super) fn sum(parts: &[Lines]) -> Lines {
    let lines = || parts.iter().map(|lines| lines.join(" "));
    let flat = lines().collect::<Vec<_>>().join(" + ");
    if flat.chars().count() <= INNER_WIDTH {
        return vec![flat];
    }
    let mut all = vec!["(".to_owned()];
    for (number, part) in parts.iter().enumerate() {
        let sign = if number == 0 { "" } else { "+ " };
        for (number, line) in part.iter().enumerate() {
            let sign = if number == 0 { sign } else { "" };
            all.push(format!("    {sign}{line}"));
        }
    }
    all.push(")".to_owned());
    all
}

/// A list of texts.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Lines {
    let mut lines = vec!["[".to_owned()];
    lines.extend(texts.into_iter().map(|each| format!("    {},", text(each))));
    lines.push("]".to_owned());
    lines
}

/// A text in quotes.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if is_active(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Bytes, in several literals that follow each other where they are many.
pub(super) fn bytes(bytes: &[u8]) -> Lines {
    let mut lines = vec![String::from("b\"")];
    for byte in bytes {
        let shown = match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        let is_full = |line: &String| line.len() + shown.len() >= INNER_WIDTH;
        if lines.last().is_some_and(is_full) {
            lines.push(String::from("b\""));
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(&shown);
        }
    }
    for line in &mut lines {
        line.push('"');
    }
    lines
}

/// A time in seconds.
pub(super) fn seconds(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

/// A comment of one line, cut where it is too long.
pub(super) fn comment(width: usize, text: &str) -> String {
    let text = LINE.text(text);
    let room = width.saturating_sub(2);
    if text.chars().count() <= room {
        return format!("# {text}");
    }
    let cut: String = text.chars().take(room.saturating_sub(4)).collect();
    format!("# {cut} ...")
}
