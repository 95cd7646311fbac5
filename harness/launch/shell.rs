//! Words as a person types them: what a shell reads back as the same words.

use std::borrow::Cow;

/// What stands for a place in a server's command. No shell takes it for anything else.
const PLACES: &[&str] = &["{port}", "{addr}", "{path}", "{dir}"];

/// The words in one line, each in quotes where a shell would read something else without them.
pub(crate) fn command_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(quoted).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    // Braces around a comma are a list for some shells, and an equals sign in front is a program for others.
    let rest = PLACES
        .iter()
        .fold(word.to_owned(), |rest, place| rest.replace(place, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    match !word.is_empty() && !word.starts_with('=') && rest.chars().all(is_plain) {
        true => word.to_owned(),
        // No word of a command holds a NUL, and nothing else is refused.
        false => shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const WORDS: &[&str] = &[
        "plain",
        "--port={port}",
        "{addr}:{port}",
        "",
        "two words",
        "it's",
        "$HOME `id` \"$(id)\" \\",
        "{a,b}",
        "{1..3}",
        "{port,addr}",
        "=ls",
        "~",
        "*",
        "a;b&c|d<e>f",
        "#no comment",
        "!history",
        "two\nlines\t",
        "Grüße",
    ];

    #[test]
    fn shell_reads_back_the_same_words() {
        let line = format!("printf '%s\\0' {}", command_line(WORDS.iter().copied()));
        for shell in ["sh", "bash", "zsh", "fish"] {
            // Where there is no such shell, nobody pastes into it.
            let Ok(output) = Command::new(shell).args(["-c", &line]).output() else {
                continue;
            };
            let read = String::from_utf8(output.stdout).unwrap();
            let read: Vec<_> = read.strip_suffix('\0').unwrap().split('\0').collect();
            assert_eq!(read, WORDS, "{shell}");
        }
    }

    #[test]
    fn plain_words_and_places_need_no_quotes() {
        let words = ["./server", "--listen={addr}:{port}", "-v", "a=b,c"];
        assert_eq!(command_line(words), words.join(" "));
    }
}
