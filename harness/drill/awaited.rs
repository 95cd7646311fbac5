//! Which part of a line a person looks at when its step has failed.

use super::tokens::{Kind, Token, tokens};
use std::ops::Range;

/// The bytes of a line that say what it waits for, without the time that it has; of a line that does something, what that is.
pub(crate) fn awaited(line: &str) -> Range<usize> {
    let mut tokens = tokens(line);
    tokens.pop_if(|last| last.kind == Kind::Comment);
    let waits = |token: &Token<'_>| token.is("expect") || token.is("require");
    let after = match tokens.iter().take(2).position(waits) {
        Some(waits) => waits + 1,
        None => usize::from(tokens.len() > 1),
    };
    let is_time = |token: &Token<'_>| token.is("after") || token.is("within");
    let waited = tokens.iter().skip(after + 1).position(is_time);
    let before = waited.map(|waited| after + 1 + waited);
    let awaited = &tokens[after.min(tokens.len())..before.unwrap_or(tokens.len())];
    match awaited {
        [first, .., last] => first.start..last.span().end,
        [only] => only.span(),
        [] => 0..line.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_waits_for_is_pointed_at_or_else_what_it_does() {
        for (line, part) in [
            (r#"  alice expect "a \"b\"" within 1s # c"#, r#""a \"b\"""#),
            (
                "  alice expect end by fin, all bytes first",
                "end by fin, all bytes first",
            ),
            ("  server expect exit 3 within 2s", "exit 3"),
            (
                r#"  alice expect "a" or fin after 1s within 2s"#,
                r#""a" or fin"#,
            ),
            ("  alice require accepted", "accepted"),
            ("  mallory reset", "reset"),
            ("  server signal TERM", "signal TERM"),
            ("  settle", "settle"),
            ("case half a message", "half a message"),
            ("  alice expect", "  alice expect"),
            ("", ""),
        ] {
            assert_eq!(&line[awaited(line)], part, "{line}");
        }
    }
}
