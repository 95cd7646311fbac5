//! A TextMate grammar of scenario files, by which editors colour them, made of the tables of the language.

use crate::drill::{Part, Usage, usages};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The grammar, as a `.tmLanguage.json` file.
pub(super) fn grammar() -> String {
    let quoted = json!({
        "name": "string.quoted.double.drill",
        "begin": "\"",
        "end": "\"|$",
        "patterns": [
            named("constant.character.escape.drill", r#"\\(x[0-9a-fA-F]{2}|[nrt0\\"'{}])"#),
            named("invalid.illegal.drill", r"\\."),
            named("variable.other.drill", r"\{[^}]*\}"),
        ],
    });
    let patterns = [
        named("comment.line.number-sign.drill", "#.*$"),
        quoted,
        json!({
            "match": r"^(case)\s+(.*)$",
            "captures": {
                "1": { "name": "keyword.control.drill" },
                "2": { "name": "entity.name.section.drill" },
            },
        }),
        named("keyword.other.setting.drill", &of_words(&settings(), ":")),
        named("keyword.control.drill", &of_words(&first_words(), "")),
        named(
            "constant.numeric.drill",
            r"(?<![\w-])\d+(\.\d+)?(h|m|s|ms|us|B|KiB|MiB|GiB)?(?![\w-])",
        ),
        named("support.function.drill", &of_words(&words_of(ACTIONS), "")),
        named("keyword.operator.drill", &of_words(&words_of_rest(), "")),
    ];
    let grammar = json!({
        "name": "sockdrill scenario",
        "scopeName": "source.drill",
        "fileTypes": ["drill"],
        "patterns": patterns,
    });
    serde_json::to_string_pretty(&grammar).unwrap_or_default()
}

const ACTIONS: &[Part] = &[Part::Actions, Part::ServerActions];

fn named(name: &str, pattern: &str) -> Value {
    json!({ "name": name, "match": pattern })
}

/// Any of these words with this behind it, and no part of a longer one.
fn of_words(words: &BTreeSet<String>, end: &str) -> String {
    // The longer one is tried first.
    let mut words: Vec<_> = words.iter().map(String::as_str).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let behind = if end.is_empty() { r"(?![\w:-])" } else { end };
    format!(r"(?<![\w-])({}){behind}", words.join("|"))
}

/// The words of a usage that are written as they stand, the name of the client left out.
fn literal_words(row: &Usage) -> Vec<String> {
    let is_word = |word: &&str| {
        let fits = |c: char| c.is_ascii_lowercase() || c == '-';
        word.len() > 1 && word.chars().all(fits)
    };
    let words = row
        .usage
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(is_word).map(str::to_owned).collect()
}

fn settings() -> BTreeSet<String> {
    let rows = usages().into_iter();
    let names = rows.filter_map(|row| row.usage.split_once(':').map(|(name, _)| name.to_owned()));
    names
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

fn first_words() -> BTreeSet<String> {
    let lines = usages().into_iter().filter(|row| row.part == Part::Lines);
    let words = lines.filter_map(|row| row.usage.split(' ').next().map(str::to_owned));
    words.filter(|word| !word.ends_with(':')).collect()
}

fn words_of(parts: &[Part]) -> BTreeSet<String> {
    let rows = usages().into_iter().filter(|row| parts.contains(&row.part));
    let words = rows.filter_map(|row| {
        let words = literal_words(&row).into_iter();
        words.into_iter().find(|word| word != "server")
    });
    words.collect()
}

/// Every other word of the language.
fn words_of_rest() -> BTreeSet<String> {
    let others = [settings(), first_words(), words_of(ACTIONS)];
    let others: BTreeSet<_> = others.into_iter().flatten().collect();
    let all = usages().into_iter().flat_map(|row| literal_words(&row));
    all.filter(|word| !others.contains(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_language_has_its_place() {
        let grammar = grammar();
        for word in [
            "half-close",
            "receive-buffer",
            "within",
            "silence",
            "capitals",
            "barrier",
            "payload",
        ] {
            assert!(grammar.contains(word), "{word}");
        }
        assert!(settings().contains("expected") && !settings().contains("expect"));
        assert!(words_of(ACTIONS).contains("limit-open-files"));
        assert!(!words_of_rest().contains("connect"));
    }
}
