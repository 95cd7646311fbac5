//! What a client says that the server has told it before, as an answer to a challenge, a session id or a cookie.

use super::script::Talk;
use crate::model::literal::shown;

/// Fewer letters and digits may be in both by chance.
const SHORTEST: usize = 4;

/// A word that a client has from its server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SaidBack {
    pub(super) token: String,
    /// What the server said, and what the client says then.
    pub(super) told: String,
    pub(super) said: String,
}

impl SaidBack {
    /// The first word of what a client says that its server has told it before, and that is another one each time.
    pub(super) fn of(talks: &[Talk]) -> Option<Self> {
        let (first, others) = talks.split_first()?;
        let mut told = vec![&first.greeting];
        for turn in &first.turns {
            let mut words = words(&turn.said).filter(|word| word.len() >= SHORTEST);
            let varies = |word: &[u8]| others.iter().any(|other| !says(other, word));
            let source = |word: &[u8]| told.iter().find(|told| contains(told, word)).copied();
            let found = words.find_map(|word| Some((word, source(word).filter(|_| varies(word))?)));
            if let Some((word, told)) = found {
                return Some(Self {
                    token: shown(word),
                    told: shown(told),
                    said: shown(&turn.said),
                });
            }
            told.push(&turn.answered);
        }
        None
    }
}

/// Runs of letters and digits.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = bytes.split(|byte| !byte.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    words(bytes).any(|other| other == word)
}

fn says(talk: &Talk, word: &[u8]) -> bool {
    talk.turns.iter().any(|turn| contains(&turn.said, word))
}

#[cfg(test)]
mod tests {
    use super::super::script::Turn;
    use super::*;
    use crate::model::profile::Transport;

    fn talk(greeting: &str, turns: &[(&str, &str)]) -> Talk {
        let turn = |(said, answered): &(&str, &str)| Turn {
            said: said.as_bytes().to_vec(),
            answered: answered.as_bytes().to_vec(),
        };
        Talk {
            over: Transport::Tcp,
            greeting: greeting.as_bytes().to_vec(),
            turns: turns.iter().map(turn).collect(),
        }
    }

    #[test]
    fn word_that_the_server_told_first_and_that_varies_is_said_back() {
        let of = |nonce: &str| {
            let turns = [
                ("USER carl\n", "OK\n"),
                (&format!("AUTH {nonce}\n"), "OK\n"),
            ];
            talk(&format!("hello {nonce}\n"), &turns)
        };
        let found = SaidBack::of(&[of("4711abc"), of("0815def")]).unwrap();
        assert!(found.token.contains("4711abc"), "{found:?}");
        assert!(found.said.contains("AUTH"), "{found:?}");
        assert_eq!(SaidBack::of(&[of("4711abc"), of("4711abc")]), None);
        // What the client has of itself is no answer, whatever the server makes of it.
        let own = |word: &str| talk("", &[(&format!("{word}\n"), &format!("{word}\n"))]);
        assert_eq!(SaidBack::of(&[own("hello1"), own("hello2")]), None);
    }
}
