//! Regular expressions in Python's words, which takes what it means from its parts and not from how it is written.

use super::python::{INNER_WIDTH, Lines};
use crate::model::error::Error;
use crate::model::pattern::Pattern;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind, Look, Repetition};

/// An expression that takes all of the same bytes, of Python's `re`.
///
/// # Errors
/// Python has no words for a part of it.
pub(super) fn in_python(pattern: &Pattern) -> Result<String, Error> {
    let text = pattern.to_string();
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let hir = parser.parse(&text).map_err(|error| error.to_string());
    let written = hir.and_then(|hir| written(&hir));
    written.map_err(|why| Error::Usage(format!("a reproducer cannot say {{:{text}}}: {why}")))
}

/// The same as a literal, or as several that follow each other.
pub(super) fn literal(expression: &str) -> Lines {
    let mut lines = vec![String::new()];
    let mut before = ' ';
    for c in expression.chars() {
        // A raw literal ends in no backslash.
        let is_full = |line: &String| line.len() + 5 >= INNER_WIDTH && before != '\\';
        if lines.last().is_some_and(is_full) {
            lines.push(String::new());
        }
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
        before = c;
    }
    let quoted = lines.iter().map(|line| format!("rb\"{line}\""));
    quoted.collect()
}

fn written(hir: &Hir) -> Result<String, String> {
    match hir.kind() {
        HirKind::Empty => Ok(String::new()),
        HirKind::Literal(literal) => Ok(literal.0.iter().map(|byte| byte_of(*byte)).collect()),
        HirKind::Class(class) => class_of(class),
        HirKind::Look(look) => look_of(*look).map(str::to_owned),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => written(&capture.sub).map(|inner| format!("(?:{inner})")),
        HirKind::Concat(parts) => parts.iter().map(part).collect(),
        HirKind::Alternation(ways) => {
            let ways: Vec<_> = ways.iter().map(written).collect::<Result<_, _>>()?;
            Ok(ways.join("|"))
        }
    }
}

/// An expression beside others.
fn part(hir: &Hir) -> Result<String, String> {
    match hir.kind() {
        HirKind::Alternation(_) => written(hir).map(|inner| format!("(?:{inner})")),
        _ => written(hir),
    }
}

fn repeated(repetition: &Repetition) -> Result<String, String> {
    let inner = written(&repetition.sub)?;
    let is_one = match repetition.sub.kind() {
        HirKind::Literal(literal) => literal.0.len() == 1,
        HirKind::Class(_) | HirKind::Capture(_) => true,
        _ => false,
    };
    let inner = if is_one {
        inner
    } else {
        format!("(?:{inner})")
    };
    let times = match (repetition.min, repetition.max) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) if least == most => format!("{{{least}}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    };
    let lazy = if repetition.greedy { "" } else { "?" };
    Ok(format!("{inner}{times}{lazy}"))
}

fn look_of(look: Look) -> Result<&'static str, String> {
    match look {
        Look::Start => Ok(r"\A"),
        Look::End => Ok(r"\Z"),
        Look::StartLF => Ok("(?m:^)"),
        Look::EndLF => Ok("(?m:$)"),
        Look::WordAscii => Ok(r"\b"),
        // It holds in nothing at all here, and not in Python.
        Look::WordAsciiNegate => Err(r"Python takes \B otherwise".to_owned()),
        Look::StartCRLF | Look::EndCRLF => {
            Err("Python knows no lines that end in \\r\\n, as (?R) does".to_owned())
        }
        _ => Err("Python knows no half word boundaries, nor those of Unicode".to_owned()),
    }
}

fn class_of(class: &Class) -> Result<String, String> {
    let bytes = match class {
        Class::Bytes(bytes) => bytes.clone(),
        Class::Unicode(unicode) => unicode
            .to_byte_class()
            .ok_or("Python knows no classes of Unicode in bytes")?,
    };
    let mut others = bytes.clone();
    others.negate();
    let ranges = |class: &ClassBytes| -> Vec<_> {
        let ranges = class.iter();
        ranges.map(|range| (range.start(), range.end())).collect()
    };
    let (these, others) = (ranges(&bytes), ranges(&others));
    Ok(match (these.as_slice(), others.as_slice()) {
        // No byte fits.
        ([], _) => "(?!)".to_owned(),
        (_, [(b'\n', b'\n')]) => ".".to_owned(),
        (these, others) if others.is_empty() || these.len() <= others.len() => {
            format!("[{}]", ranges_of(these))
        }
        (_, others) => format!("[^{}]", ranges_of(others)),
    })
}

fn ranges_of(ranges: &[(u8, u8)]) -> String {
    let range = |(start, end): &(u8, u8)| match end - start {
        0 => byte_of(*start),
        1 => byte_of(*start) + &byte_of(*end),
        _ => format!("{}-{}", byte_of(*start), byte_of(*end)),
    };
    ranges.iter().map(range).collect()
}

/// A byte, within a class or outside of one.
fn byte_of(byte: u8) -> String {
    match byte {
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        b'\t' => r"\t".to_owned(),
        // It would end the literal.
        b'"' | 0..b' ' | 0x7f.. => format!(r"\x{byte:02x}"),
        _ if regex_syntax::is_meta_character(byte.into()) => format!(r"\{}", char::from(byte)),
        _ => char::from(byte).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::template::{Hole, Template};

    fn said(expression: &str) -> Result<String, String> {
        let template = Template::parse(&format!("{{:{expression}}};")).unwrap();
        let Some((Hole::Pattern { pattern, .. }, _)) = template.rest.first() else {
            return Err("no pattern".to_owned());
        };
        in_python(pattern).map_err(|error| error.to_string())
    }

    #[test]
    fn expression_is_said_as_python_has_it() {
        for (ours, python) in [
            ("[0-9A-F]+", "[0-9A-F]+"),
            (r"\d+", "[0-9]+"),
            (r"\S", r"[^\t-\r ]"),
            (".*?", ".*?"),
            ("(?s:.)", r"[\x00-\xff]"),
            ("yes|no", "yes|no"),
            ("(?:one|two)+ more", "(?:one|two)+ more"),
            ("(?P<year>[0-9]+)-x", r"(?:[0-9]+)\-x"),
            ("(?i)ok", "[Oo][Kk]"),
            (r"a\.b\$$", r"a\.b\$\Z"),
            (r"[\x22\xff]", r"[\x22\xff]"),
            (r"[^\n;]+", r"[^\n;]+"),
            (r"[\]\-^]", r"[\-\]\^]"),
            (r"\bx\b", r"\bx\b"),
        ] {
            assert_eq!(said(ours), Ok(python.to_owned()), "{ours}");
        }
    }

    #[test]
    fn what_python_takes_otherwise_is_refused_by_name() {
        for (ours, why) in [
            (
                r"\Bx",
                r"a reproducer cannot say {:\Bx}: Python takes \B otherwise",
            ),
            (r"\b{start}x", "half word boundaries"),
            (r"(?Rm)^x", "lines that end in \\r\\n"),
            (r"(?u:\pL)", "classes of Unicode"),
        ] {
            let refused = said(ours).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn long_expression_stands_in_literals_that_end_in_no_backslash() {
        let lines = literal(&r"\.".repeat(60));
        assert!(lines.len() > 1);
        for line in &lines {
            assert!(
                line.len() <= INNER_WIDTH + 1 && !line.ends_with(r#"\""#),
                "{line}"
            );
        }
    }
}
