//! Choices: what a server may do on purpose where its profile says nothing of it.

use super::cause::Cause;
use crate::model::literal::{Shown, Size};
use crate::model::profile::{Drops, Framing, Longest, Promises, Serves, TooLong};
use crate::model::template::{Template, common};
use std::time::Duration;

/// Something that a server was seen to do, and may do on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It holds so many connections, and no more.
    Limit {
        /// How many.
        held: usize,
        /// Whether the next one is closed, rather than left to wait.
        closes: bool,
        /// Whether those from another address do not count.
        an_address: bool,
        /// Which of those that come then.
        drops: Drops,
    },
    /// It closes one of the older clients when another comes, from so many on, and which one is chance.
    GivesPlacesAway(usize),
    /// It takes requests up to a length, and no longer ones.
    Longest {
        /// Up to which, and what becomes of longer ones.
        longest: Longest,
        /// Whether they are lines or datagrams.
        framing: Framing,
    },
    /// It ends the connection of a client that does not read, once so much waits for it.
    OutputLimit {
        /// How much the client had asked for, of those for whom it did so the one that had asked for the least.
        asked: usize,
    },
    /// It gives up on a client that is silent.
    GivesUp {
        /// After this time.
        after: Duration,
        /// Whether the client had not made an exchange yet.
        at_login: bool,
    },
    /// It says something by itself to a client that is silent.
    SaysUnasked {
        /// What, as it was said each time: the same but for numbers.
        texts: Vec<Vec<u8>>,
        /// After so much silence.
        after: Duration,
        /// Whether the client had been served before.
        was_served: bool,
    },
    /// It takes no notice for so long of a client that has said what is no request.
    Throttles(Duration),
    /// It turns away for so long whoever comes from the address of those before, and serves others.
    Penalises(Duration),
    /// It turns clients away until it has started, and serves one that comes so much later.
    TurnsAway(Duration),
}

impl Choice {
    /// Whether it is none that a server has which promises this: one place is no way to serve several at a time.
    pub(crate) fn contradicts(&self, promises: &Promises) -> bool {
        let places = match self {
            Self::Limit { held, .. } | Self::GivesPlacesAway(held) => *held,
            _ => return false,
        };
        places <= 1 && promises.serves == Some(Serves::Concurrently)
    }

    /// Whether both are of one making: the same limit, one that is not exact, or a time-out of whatever length was measured.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::GivesUp { at_login, .. }, Self::GivesUp { at_login: too, .. }) => {
                at_login == too
            }
            (Self::SaysUnasked { texts, .. }, Self::SaysUnasked { texts: more, .. }) => {
                text_of([texts, more]).is_some()
            }
            (Self::OutputLimit { asked }, Self::OutputLimit { asked: too }) => {
                // What the kernel takes of the output differs a little, so that it may be the next larger one.
                asked.max(too) < &(2 * asked.min(too))
            }
            (Self::GivesPlacesAway(_), Self::GivesPlacesAway(_)) => true,
            (Self::Throttles(_), Self::Throttles(_)) => true,
            (Self::Penalises(_), Self::Penalises(_)) => true,
            (Self::TurnsAway(_), Self::TurnsAway(_)) => true,
            (
                Self::Limit {
                    drops: drops @ (Drops::Some | Drops::Oldest),
                    ..
                },
                Self::Limit { drops: too, .. },
            ) => drops == too,
            _ => self == other,
        }
    }

    /// The same, as it was seen another time too: a limit is where it was met first.
    pub(crate) fn seen_again(self, other: &Self) -> Self {
        match (self, other) {
            (
                Self::Limit {
                    held,
                    closes,
                    an_address,
                    drops,
                },
                Self::Limit { held: other, .. },
            ) => Self::Limit {
                held: held.min(*other),
                closes,
                an_address,
                drops,
            },
            (
                Self::SaysUnasked {
                    texts,
                    after,
                    was_served,
                },
                Self::SaysUnasked { texts: more, .. },
            ) => Self::SaysUnasked {
                texts: [texts.as_slice(), more].concat(),
                after,
                was_served,
            },
            (choice, _) => choice,
        }
    }

    /// Whether it is what a step failed by, where that can be told from what the client got.
    pub(crate) fn explains(&self, cause: &Cause) -> bool {
        match (self, cause.step()) {
            // Who turns others away does nothing to who was there before.
            (
                Self::Limit {
                    drops: Drops::All | Drops::Some,
                    ..
                },
                _,
            ) => !matches!(cause, Cause::Disturbed { .. }),
            (Self::SaysUnasked { texts, .. }, Cause::StepFailed { instead, .. }) => {
                text_of([texts]).is_some_and(|text| instead.is_told(&text))
            }
            _ => true,
        }
    }

    /// The line of a profile that promises it, where there is one.
    pub(crate) fn promise(&self) -> Option<String> {
        Some(match self {
            Self::GivesPlacesAway(_) => return None,
            Self::Limit {
                held,
                closes,
                an_address,
                drops,
            } => {
                let of = if *an_address { "an-address" } else { "in-all" };
                let refused = if *closes { "closed" } else { "waits" };
                let drops = match drops {
                    Drops::All => "",
                    Drops::Some => ", drops = \"some\"",
                    Drops::Oldest => ", drops = \"oldest\"",
                };
                format!("most-connections = {{ {of} = {held}, refused = \"{refused}\"{drops} }}")
            }
            Self::Throttles(time) => {
                let seconds = time.as_secs_f64().ceil();
                format!("throttling = \"{seconds}s\"")
            }
            Self::Longest { longest, .. } => longest_promise(longest),
            Self::SaysUnasked { texts, .. } => {
                let text = text_of([texts]);
                format!(
                    "unasked = [{}]",
                    text.as_ref().map(quoted).unwrap_or_default()
                )
            }
            Self::Penalises(_) => "penalties = \"an-address\"".to_owned(),
            Self::OutputLimit { asked } => format!("output-limit = \"{}\"", Size(*asked)),
            Self::TurnsAway(_) => "starting = \"turns-away\"".to_owned(),
            Self::GivesUp { after, at_login } => {
                let key = if *at_login {
                    "login-timeout"
                } else {
                    "idle-timeout"
                };
                timeout_promise(key, *after)
            }
        })
    }
}

/// The line of a profile that promises a time-out that was seen to be over after this time.
pub(crate) fn timeout_promise(key: &str, after: Duration) -> String {
    // The server's time ran before ours, and is a round one.
    let tenths = Duration::from_millis(after.as_millis() as u64 / 100 * 100);
    let time = if tenths.is_zero() { after } else { tenths };
    format!("{key} = \"{}\"", Shown(time))
}

/// What all of these say, but for the numbers in it.
pub(crate) fn text_of<'a>(
    texts: impl IntoIterator<Item = &'a Vec<Vec<u8>>, IntoIter: Clone>,
) -> Option<Template> {
    common(texts.into_iter().flatten().map(Vec::as_slice))
}

fn longest_promise(longest: &Longest) -> String {
    let size = Size(longest.bytes);
    let refused = match &longest.refused {
        None => return format!("longest = \"{size}\""),
        Some(TooLong::Closed(None)) => "\"closed\"".to_owned(),
        Some(TooLong::Closed(Some(text))) => format!("\"closed\", text = {}", quoted(text)),
        Some(TooLong::Answered(text)) => format!("\"answered\", text = {}", quoted(text)),
        Some(TooLong::Cut) => "\"cut\"".to_owned(),
        Some(TooLong::Dropped) => "\"dropped\"".to_owned(),
    };
    format!("longest = {{ size = \"{size}\", refused = {refused} }}")
}

/// A text as profiles have it: in single quotes, which leave its escapes alone.
fn quoted(text: &Template) -> String {
    format!("'{}'", text.text().replace('\'', r"\x27"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::Profile;

    /// What is told to be promised is understood, and means what was seen.
    #[test]
    fn line_of_the_longest_request_promises_it() {
        let text = |text: &str| Template::parse(text).unwrap();
        let refusals = [
            None,
            Some(TooLong::Closed(None)),
            Some(TooLong::Closed(Some(text(
                r#"that's "{any}" too long\r\n"#,
            )))),
            Some(TooLong::Answered(text(r"\{no\}\n"))),
            Some(TooLong::Cut),
            Some(TooLong::Dropped),
        ];
        for refused in refusals {
            let longest = Longest {
                bytes: 65_537,
                refused,
            };
            let choice = Choice::Longest {
                longest: longest.clone(),
                framing: Framing::Line,
            };
            let promise = choice.promise().unwrap();
            let profile = Profile::parse("p", &format!("[promises]\n{promise}\n"));
            let promised = profile.map(|profile| profile.promises.longest);
            assert_eq!(promised.unwrap(), Some(longest), "{promise}");
        }
    }

    fn says(text: &str) -> Choice {
        Choice::SaysUnasked {
            texts: vec![text.as_bytes().to_vec()],
            after: Duration::from_secs(1),
            was_served: false,
        }
    }

    fn holds(held: usize, drops: Drops) -> Choice {
        Choice::Limit {
            held,
            closes: true,
            an_address: false,
            drops,
        }
    }

    #[test]
    fn choices_of_one_making_are_alike_although_what_is_measured_differs() {
        let of_output = |asked| Choice::OutputLimit { asked };
        let gives_up = |seconds, at_login| Choice::GivesUp {
            after: Duration::from_secs(seconds),
            at_login,
        };
        let time = Duration::from_secs;
        let alike = [
            (gives_up(1, true), gives_up(9, true)),
            (says("bye in 9 s\n"), says("bye in 10 s\n")),
            // What the kernel takes of it differs by less than the next larger output does.
            (of_output(100), of_output(199)),
            (Choice::GivesPlacesAway(5), Choice::GivesPlacesAway(6)),
            (Choice::Throttles(time(1)), Choice::Throttles(time(2))),
            (Choice::Penalises(time(1)), Choice::Penalises(time(2))),
            (Choice::TurnsAway(time(1)), Choice::TurnsAway(time(2))),
            (holds(5, Drops::Some), holds(6, Drops::Some)),
            (holds(5, Drops::Oldest), holds(6, Drops::Oldest)),
            (holds(5, Drops::All), holds(5, Drops::All)),
        ];
        for (one, other) in alike {
            assert!(one.is_like(&other), "{one:?} {other:?}");
            assert!(other.is_like(&one), "{one:?} {other:?}");
        }
        let apart = [
            (gives_up(1, true), gives_up(1, false)),
            (says("bye\n"), says("who are you?\n")),
            (of_output(100), of_output(200)),
            (holds(5, Drops::All), holds(6, Drops::All)),
            (holds(5, Drops::All), holds(5, Drops::Some)),
            (holds(5, Drops::Oldest), holds(5, Drops::Some)),
            (Choice::Throttles(time(1)), Choice::Penalises(time(1))),
        ];
        for (one, other) in apart {
            assert!(!one.is_like(&other), "{one:?} {other:?}");
            assert!(!other.is_like(&one), "{one:?} {other:?}");
        }
    }

    /// The server's time ran before ours, so that the round one below is its own.
    #[test]
    fn promise_of_a_time_out_is_a_round_time_that_is_no_longer_than_was_measured() {
        let promise = |millis| {
            let after = Duration::from_millis(millis);
            let at_login = false;
            Choice::GivesUp { after, at_login }.promise().unwrap()
        };
        assert_eq!(promise(1_299), "idle-timeout = \"1200ms\"");
        assert_eq!(promise(2_050), "idle-timeout = \"2s\"");
        assert_eq!(promise(70), "idle-timeout = \"70ms\"");
    }

    #[test]
    fn what_a_server_says_unasked_explains_only_that_it_was_said() {
        use crate::judge::cause::Cause;
        use crate::model::data::Excerpt;
        use crate::model::expectation::Expectation;
        use crate::transcript::event::Ended;
        use crate::transcript::instead::{Got, Instead};

        let got = |text: &str| Cause::StepFailed {
            client: "alice".to_owned(),
            expected: Box::new(Expectation::Silence),
            how: Ended::Settled,
            instead: Instead::Got(Got::Bytes(Excerpt::of(text.as_bytes()))),
            took: Vec::new(),
        };
        let choice = says("bye in 9 s\n");
        assert!(choice.explains(&got("bye in 9 s\n")));
        assert!(!choice.explains(&got("who are you?\n")));
        let disturbed = Cause::Disturbed {
            step: Box::new(got("bye\n")),
        };
        let takes_places = [holds(5, Drops::Oldest), Choice::GivesPlacesAway(5)];
        assert!(
            takes_places
                .iter()
                .all(|choice| choice.explains(&disturbed))
        );
        let refuses = [holds(5, Drops::All), holds(5, Drops::Some)];
        assert!(!refuses.iter().any(|choice| choice.explains(&disturbed)));
        // A limit does not show in what one client got.
        assert!(holds(5, Drops::All).explains(&got("who are you?\n")));
    }
}
