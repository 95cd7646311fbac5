//! The names in braces that a command may have, and those that are meant to be one of them.

use crate::model::spelling::{did_you_mean, is_one_slip_from};
use crate::model::template::is_name;

/// What may stand in a command, its environment and its files, with what is filled in.
const NAMES: &[&str] = &["port", "addr", "path", "dir"];

/// Other words for them that people write.
const SYNONYMS: &[(&str, &str)] = &[
    ("address", "addr"),
    ("listen", "addr"),
    ("host", "addr"),
    ("sock", "path"),
    ("socket", "path"),
    ("unix", "path"),
    ("folder", "dir"),
    ("tmp", "dir"),
    ("tmpdir", "dir"),
    ("workdir", "dir"),
];

/// Says what is wrong with the first name in braces that is a slip: `{prt}`, `{Port}` or `{socket}`. Any other may be the program's
/// own.
pub(crate) fn slip<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names = words.into_iter().flat_map(in_braces);
    let mut slips = names.filter_map(|name| Some((name, meant(name)?)));
    slips.next().map(|(name, meant)| {
        format!(
            "{{{name}}} is nothing that is filled in: did you mean {{{meant}}}? There are {{port}}, {{addr}} (127.0.0.1 and the \
             port), {{path}} (of a Unix socket) and {{dir}} (an empty folder)"
        )
    })
}

/// Says so where words have the place of a backend that is none of these, as `{origin.addr}`; or where a file has it, whose text may
/// have braces of its own, and the name is a slip.
pub(super) fn without_backend<'a>(
    words: impl IntoIterator<Item = &'a str>,
    files: impl IntoIterator<Item = &'a str>,
    backends: &[&str],
) -> Option<String> {
    let is_there = |name: &str| backends.contains(&name);
    let is_slip = |name: &str| backends.iter().any(|known| is_one_slip_from(name, known));
    let in_words = words.into_iter().flat_map(places);
    let in_files = files.into_iter().flat_map(places);
    let in_files = in_files.filter(|(_, name)| is_slip(name));
    let mut places = in_words.chain(in_files);
    places.find(|(_, name)| !is_there(name)).map(|(inside, name)| {
        format!(
            "{{{inside}}} is filled in with where the backend {name} listens, and there is none: write `backend: {name} FILE` in the \
             scenario, or [backends.{name}] in the target{}",
            did_you_mean(name, backends.iter().copied())
        )
    })
}

/// The places of backends in a text, each with the name of the backend.
fn places(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('{').filter_map(|(at, _)| {
        let (inside, _) = text[at + 1..].split_once('}')?;
        let (name, of_it) = inside.split_once('.')?;
        (is_name(name) && ["addr", "port"].contains(&of_it)).then_some((inside, name))
    })
}

/// The names in braces in a word; those behind a dollar sign are a shell's.
fn in_braces(word: &str) -> impl Iterator<Item = &str> {
    let opened = word.match_indices('{');
    opened.filter_map(move |(at, _)| {
        let (name, _) = word[at + 1..].split_once('}')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic());
        let is_of_a_shell = word[..at].ends_with('$');
        (is_name && !is_of_a_shell).then_some(name)
    })
}

fn meant(name: &str) -> Option<&'static str> {
    if NAMES.contains(&name) {
        return None;
    }
    let small = name.to_ascii_lowercase();
    let mut synonyms = SYNONYMS.iter();
    let synonym = synonyms.find(|(word, _)| *word == small);
    let mut names = NAMES.iter().copied();
    synonym
        .map(|(_, meant)| *meant)
        .or_else(|| names.find(|name| *name == small || is_one_slip_from(&small, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant_by(word: &str) -> Option<&'static str> {
        let slip = slip([word])?;
        let (_, behind) = slip.split_once("did you mean {")?;
        NAMES
            .iter()
            .copied()
            .find(|name| behind.starts_with(&format!("{name}}}")))
    }

    #[test]
    fn place_of_a_backend_that_there_is_not_is_told() {
        let words = ["--to=http://{origin.addr}/", "{port}"];
        let told = without_backend(words, [], &[]).unwrap();
        assert!(
            told.starts_with("{origin.addr} is filled in with") && !told.contains("did you mean"),
            "{told}"
        );
        assert_eq!(without_backend(words, [], &["origin"]), None);
        let own = ["{a.host} {.addr} {b c.port} {port}"];
        assert_eq!(without_backend(own, [], &["b"]), None);
    }

    #[test]
    fn file_that_has_braces_of_its_own_is_left_alone_and_a_slip_in_it_is_told() {
        let of_file = |text: &'static str, backends: &[&str]| without_backend([], [text], backends);
        let slip = "proxy_pass http://{orgin.addr};";
        let told = of_file(slip, &["app", "origin"]).unwrap();
        assert!(told.starts_with("{orgin.addr} is"), "{told}");
        assert!(told.ends_with("did you mean `origin`?"), "{told}");
        for (text, backends) in [
            (slip, &[][..]),
            (slip, &["app"]),
            ("http://{origin.addr} {upstream.port}", &["origin"]),
            // Of two that are alike both are there.
            ("{app1.addr} {app2.addr}", &["app1", "app2"]),
        ] {
            assert_eq!(of_file(text, backends), None, "{text} {backends:?}");
        }
    }

    #[test]
    fn slip_is_told_with_what_was_meant() {
        for (word, meant) in [
            ("--port={prt}", "port"),
            ("{Port}", "port"),
            ("{PORT}", "port"),
            ("[::1]:{prot}", "port"),
            ("{port}{socket}", "path"),
            ("{adr}", "addr"),
        ] {
            assert_eq!(meant_by(word), Some(meant), "{word}");
        }
    }

    #[test]
    fn what_is_the_programs_own_is_left_alone() {
        for word in [
            "{port}",
            "{addr}{path}{dir}",
            "awk '{print}'",
            "{date} {word} {id}",
            "${Port}",
            "{\"port\": 1}",
            "{}",
            "{a,b}",
            "{prt",
        ] {
            assert_eq!(slip([word]), None, "{word}");
        }
    }
}
