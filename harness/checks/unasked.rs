//! Some servers speak to clients by themselves, such as one that asks whether who is silent is still there.

use super::choices::{Found, silence_before};
use super::observations::Sighting;
use crate::judge::{Cause, Choice};
use crate::model::action::Action;
use crate::model::data::find;
use crate::model::dialogue::{self, ClientSteps, pause, scenario};
use crate::model::expectation::Expectation;
use crate::model::limits::SILENCE;
use crate::model::need::Need;
use crate::model::profile::{Framing, Speech, may_be_unasked};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::subject::Subject;
use crate::model::template::{Template, common};
use crate::transcript::event::{ClientEvent, Transcript, What};
use crate::transcript::instead::{Got, Instead};
use std::borrow::Cow;
use std::time::Duration;

/// Whether nothing is said of what the server says by itself, and clients could tell that from replies.
pub(super) fn is_open(subject: &Subject) -> bool {
    let needs = [Need::STREAM, Need::DIALOGUE];
    let is_of_replies = needs.iter().all(|need| need.unmet(subject).is_none());
    let is_of_any_bytes =
        subject.profile.is_modelled_in(Framing::Stream) && dialogue::replies(&subject.profile);
    is_of_replies && !is_of_any_bytes && subject.profile.promises.unasked.is_none()
}

/// Whether a client was told something else than it was owed, or something where nothing was.
pub(super) fn is_told_something_else(cause: &Cause) -> bool {
    let Cause::StepFailed {
        expected, instead, ..
    } = cause.step()
    else {
        return false;
    };
    let is_more = matches!(
        instead,
        Instead::Got(Got::Bytes(_)) | Instead::GotBeforeEnd(Got::Bytes(_))
    );
    is_more || instead.is_another_answer(expected)
}

/// How long a client had been silent at most before something came for it, and longer, to see what comes then.
pub(super) fn silence_before_words(transcript: &Transcript) -> Option<Duration> {
    // What the server says again and again is told best by a client that is silent all the time.
    let comes = |event: &ClientEvent| matches!(event, ClientEvent::Received(_));
    silence_before(transcript, comes, |_| false).map(|silence| silence + SILENCE)
}

/// A client that has said nothing yet, and is silent for so long.
pub(super) fn silent_from_the_start(subject: &Subject, time: Duration) -> Scenario {
    silent_after(ClientSteps::of(0).greeted(subject), time)
}

/// A client that has been served as far as one can that stays, and is silent for so long.
pub(super) fn silent_once_served(subject: &Subject, time: Duration) -> Scenario {
    silent_after(ClientSteps::of(0).come_to_stay(subject), time)
}

fn silent_after(steps: ClientSteps, time: Duration) -> Scenario {
    let leaves = ClientSteps::of(0).then(Action::Close).lines();
    scenario(
        "a client that is silent for a while",
        &[("alice", 1)],
        vec![steps.lines(), vec![pause(time)], leaves],
    )
}

/// What came for a client that was silent, each time that something did, and after how long it began.
pub(super) fn heard(seen: &Sighting<'_>) -> Option<(Vec<u8>, Duration)> {
    let mut lines = seen.scenario.lines.iter();
    let silence = lines.position(|line| matches!(line.step, Step::Pause(_)))?;
    let mut events = seen.transcript.events.iter();
    let mut since = None;
    for event in events.by_ref() {
        match &event.what {
            What::StepBegan(step) if *step == silence => break,
            What::Client(_, ClientEvent::Ended(_)) => return None,
            What::Client(..) => since = Some(event.at),
            _ => {}
        }
    }
    let mut words: Vec<(Duration, Cow<'_, [u8]>)> = Vec::new();
    for event in events {
        match &event.what {
            What::StepBegan(_) => break,
            What::Client(_, ClientEvent::Received(bytes)) => words.push((event.at, bytes.bytes())),
            What::Client(_, ClientEvent::Ended(_)) => {
                // What is said right before is a farewell.
                words.retain(|(at, _)| *at + SILENCE <= event.at);
                break;
            }
            _ => {}
        }
    }
    let first = words.first()?.0;
    let words: Vec<_> = words.into_iter().map(|(_, bytes)| bytes).collect();
    Some((words.concat(), first - since?))
}

/// The texts that `words` are made of, where they are one text again and again, but for the numbers in it.
fn texts(words: &[u8]) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> = match words.last() {
        Some(b'\n') => words.split_inclusive(|byte| *byte == b'\n').collect(),
        _ => words.chunks(1).collect(),
    };
    let texts_of =
        |length: usize| -> Vec<Vec<u8>> { pieces.chunks(length).map(<[&[u8]]>::concat).collect() };
    let mut lengths = (1..=pieces.len()).filter(|length| pieces.len().is_multiple_of(*length));
    let texts = lengths.find_map(|length| {
        let texts = texts_of(length);
        common(texts.iter().map(Vec::as_slice)).map(|_| texts)
    });
    let mut texts = texts.unwrap_or_default();
    texts.dedup();
    texts
}

/// So many bytes of a reply are no chance.
const TELLING: usize = 4;

/// Whether this is a part of what is said in the conversation, so that it may have strayed.
fn is_of_the_conversation(text: &[u8], subject: &Subject) -> bool {
    let is_part = |said: &[u8]| {
        let holds = text.len() >= TELLING && find(said, text).is_some();
        holds || said.ends_with(text)
    };
    let of_template = |template: &Template| {
        let rest = template.rest.iter().map(|(_, part)| part);
        [&template.first]
            .into_iter()
            .chain(rest)
            .any(|part| is_part(part))
    };
    let request = dialogue::request(&subject.profile).unwrap_or_default();
    let reply = match dialogue::reply(&subject.profile) {
        Some(Expectation::Data(reply)) => reply.bytes(0),
        _ => Vec::new(),
    };
    let is_of_an_exchange = match &subject.profile.speech {
        Speech::Dialogue {
            greeting,
            exchanges,
        } => {
            let mut exchanges = exchanges.iter();
            greeting.as_ref().is_some_and(of_template)
                || exchanges.any(|exchange| is_part(&exchange.send) || of_template(&exchange.reply))
        }
        Speech::Unknown | Speech::Model(_) => false,
    };
    is_part(&request) || is_part(&reply) || is_of_an_exchange
}

/// What the server says by itself to a client that is silent, where a profile may say so.
pub(super) fn says(seen: &Sighting<'_>) -> Option<Choice> {
    let subject = seen.subject;
    let (words, after) = heard(seen)?;
    let texts = texts(&words);
    let text = common(texts.iter().map(Vec::as_slice))?;
    let strays = |text: &Vec<u8>| is_of_the_conversation(text, subject);
    if texts.iter().any(strays) || may_be_unasked(&text, &subject.profile.speech).is_err() {
        return None;
    }
    let mut before = seen.scenario.lines.iter().filter_map(Line::action);
    let was_served = before.any(|action| matches!(action, Action::Send { .. }));
    Some(Choice::SaysUnasked {
        texts,
        after,
        was_served,
    })
}

/// The same, as what the server has chosen.
pub(super) fn found(seen: &Sighting<'_>) -> Option<Found> {
    says(seen).map(Found::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, connected, failed, server, told};
    use crate::model::expectation::End;
    use crate::model::literal::Excerpt;
    use crate::model::profile::Profile;
    use crate::model::profile::Transport;
    use crate::model::subject::Place;
    use crate::transcript::event::{ClientId, Event};

    #[test]
    fn text_that_comes_again_and_again_is_one() {
        let of = |words: &str| -> Vec<String> {
            let texts = texts(words.as_bytes()).into_iter();
            texts.map(|text| String::from_utf8(text).unwrap()).collect()
        };
        assert_eq!(of("PING :x\r\nPING :x\r\n"), ["PING :x\r\n"]);
        assert_eq!(of("PING 9\nPING 10\n"), ["PING 9\n", "PING 10\n"]);
        assert_eq!(of(": still\n\n: still\n\n"), [": still\n\n"]);
        assert_eq!(of("   "), [" "]);
        assert_eq!(of("one\ntwo\n"), ["one\ntwo\n"]);
    }

    /// What is heard by a client that is silent from the second second on, of what happens to it then.
    fn hears(happened: &[(u64, ClientEvent)]) -> Option<String> {
        let alice = |event: ClientEvent| What::Client(ClientId { who: 0, member: 0 }, event);
        let profile = Profile::parse("p", "model = 'echo'\nframing = 'line'\n").unwrap();
        let subject = Subject::of(profile, Place::on(Transport::Tcp));
        let scenario = silent_from_the_start(&subject, Duration::from_secs(5));
        let began = (0..).zip([0, 2_000]);
        let began = began.map(|(step, at)| (at, What::StepBegan(step)));
        let connected = ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: false,
        };
        let then = happened
            .iter()
            .map(|(at, event)| (*at, alice(event.clone())));
        let what = began.chain([(2_000, alice(connected))]).chain(then);
        let mut what: Vec<_> = what.collect();
        what.swap(1, 2);
        let events = what.into_iter().map(|(at, what)| Event {
            at: Duration::from_millis(at),
            what,
        });
        let (words, after) = heard(&Sighting {
            subject: &subject,
            scenario: &scenario,
            transcript: &Transcript {
                events: events.collect(),
                began: None,
            },
        })?;
        Some(format!("{} {after:?}", String::from_utf8_lossy(&words)))
    }

    #[test]
    fn what_is_said_right_before_the_end_is_a_farewell() {
        let said = |at, words: &str| (at, ClientEvent::Received(words.as_bytes().into()));
        let ended = |at| (at, ClientEvent::Ended(End::Fin));
        let heard = |what: &[(u64, ClientEvent)]| hears(what).unwrap_or_default();
        assert_eq!(heard(&[said(3_000, "?"), said(4_000, "?")]), "?? 1s");
        assert_eq!(
            heard(&[said(3_000, "?"), said(4_000, "bye"), ended(4_001)]),
            "? 1s"
        );
        assert_eq!(heard(&[said(4_000, "bye"), ended(4_001)]), "");
        assert_eq!(heard(&[ended(4_001)]), "");
    }

    #[test]
    fn part_of_the_conversation_is_nothing_that_is_said_unasked() {
        let profile = "[[exchange]]\nsend = 'PING\\r\\n'\nreply = '+PONG\\r\\n'\n";
        let profile = Profile::parse("p", profile).unwrap();
        let subject = Subject::of(profile, Place::on(Transport::Tcp));
        for strays in ["+PONG\r\n", "PONG\r\n", "+PON", "\r\n", "PING\r\n"] {
            assert!(
                is_of_the_conversation(strays.as_bytes(), &subject),
                "{strays}"
            );
        }
        for unasked in ["PING :x\r\n", " ", "are you there?\n"] {
            assert!(
                !is_of_the_conversation(unasked.as_bytes(), &subject),
                "{unasked}"
            );
        }
    }

    #[test]
    fn what_is_said_unasked_is_open_where_replies_are_known_and_nothing_is_promised() {
        let open = |profile: &str| is_open(&server(profile));
        assert!(open("model = \"echo\"\nframing = \"line\"\n"));
        assert!(open("model = \"discard\"\nframing = \"stream\"\n"));
        // Whatever comes may be a reply.
        assert!(!open("model = \"echo\"\nframing = \"stream\"\n"));
        assert!(!open(
            "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n"
        ));
        assert!(!open("transport = \"tcp\"\n"));
        assert!(!open(
            "model = \"echo\"\nframing = \"line\"\n[promises]\nunasked = []\n"
        ));
    }

    #[test]
    fn client_is_silent_for_longer_than_it_was_before_something_came() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let told_at = |events: &[(u64, ClientEvent)]| {
            let scenario = silent_from_the_start(&subject, Duration::from_secs(1));
            let events = events.iter();
            let staged = events.fold(Staged::of(&subject, scenario), |staged, (at, event)| {
                staged.client(*at, 0, event.clone())
            });
            staged.read(|seen| silence_before_words(seen.transcript))
        };
        let said = |at| (at, told("?"));
        let after = |seconds| Some(Duration::from_secs(seconds) + SILENCE);
        assert_eq!(told_at(&[(0, connected()), said(4_000)]), after(5));
        // What has come before does not break the silence.
        assert_eq!(
            told_at(&[(0, connected()), said(2_000), said(4_000)]),
            after(5)
        );
        assert_eq!(told_at(&[(0, connected())]), None);
    }

    #[test]
    fn client_is_told_something_else_where_bytes_come_that_are_not_owed() {
        let got = || Got::Bytes(Excerpt::of(b"?"));
        assert!(is_told_something_else(&failed(Instead::Got(got()))));
        assert!(is_told_something_else(&failed(
            Instead::GotBeforeEnd(got())
        )));
        assert!(!is_told_something_else(&failed(Instead::Ended(End::Fin))));
        assert!(!is_told_something_else(&Cause::Replaced));
        let disturbed = Cause::Disturbed {
            step: failed(Instead::Got(got())).into(),
        };
        assert!(is_told_something_else(&disturbed));
    }

    /// What is concluded of a server of lines that says this while its client is silent.
    fn said(words: &[&str], scenario: fn(&Subject, Duration) -> Scenario) -> Option<(usize, bool)> {
        let subject = server(
            "model = \"echo\"\nframing = \"line\"\n[promises]\nafter-exchange = \"stays-open\"\n",
        );
        let scenario = scenario(&subject, Duration::from_secs(5));
        let is_pause = |line: &Line| matches!(line.step, Step::Pause(_));
        let silence = scenario.lines.iter().position(is_pause).unwrap();
        let staged = Staged::of(&subject, scenario).client(0, 0, connected());
        let staged = staged.until(silence);
        let words = words.iter();
        let staged = words.fold(staged, |staged, words| staged.client(3_000, 0, told(words)));
        match staged.read(says)? {
            Choice::SaysUnasked {
                texts, was_served, ..
            } => Some((texts.len(), was_served)),
            _ => None,
        }
    }

    #[test]
    fn what_comes_in_silence_is_said_unasked_to_who_was_served_or_was_not() {
        assert_eq!(
            said(&["still there?\n"], silent_from_the_start),
            Some((1, false))
        );
        assert_eq!(
            said(&["still there?\n"], silent_once_served),
            Some((1, true))
        );
        assert_eq!(
            said(&["ping 1\n", "ping 2\n"], silent_once_served),
            Some((2, true))
        );
        assert_eq!(said(&[], silent_once_served), None);
        // It has strayed from the conversation.
        assert_eq!(said(&["hello from sockdrill\n"], silent_once_served), None);
    }

    #[test]
    fn client_whose_connection_has_ended_before_its_silence_heard_nothing() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let scenario = silent_from_the_start(&subject, Duration::from_secs(5));
        let staged = Staged::of(&subject, scenario);
        let staged = staged.client(0, 0, connected());
        let ended = staged.client(0, 0, ClientEvent::Ended(End::Fin)).until(1);
        assert_eq!(ended.client(9, 0, told("?")).read(heard), None);
    }

    #[test]
    fn what_comes_behind_the_silence_is_not_heard_in_it() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let scenario = silent_from_the_start(&subject, Duration::from_secs(5));
        let staged = Staged::of(&subject, scenario).client(0, 0, connected());
        let over = staged.until(2).client(9, 0, told("?"));
        assert_eq!(over.read(heard), None);
    }

    #[test]
    fn every_part_of_the_conversation_may_stray() {
        let strays =
            |profile: &str, text: &str| is_of_the_conversation(text.as_bytes(), &server(profile));
        let capitals = "model = \"ascii-uppercase\"\nframing = \"line\"\n";
        assert!(strays(capitals, "HELLO FROM") && strays(capitals, "hello from"));
        assert!(!strays(capitals, "Hello from"));
        let talks = "speaks-first = true\ngreeting = 'welcome\\n'\n[[exchange]]\nonce = true\nsend = 'first question\\n'\nreply = 'good answer\\n'\n[[exchange]]\nsend = 'second question\\n'\nreply = 'poor answer\\n'\n";
        for said in ["welco", "first", "good", "second", "poor"] {
            assert!(strays(talks, said), "{said}");
        }
        assert!(!strays(talks, "third"));
    }

    #[test]
    fn what_is_found_is_what_the_server_says() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let staged = Staged::of(
            &subject,
            silent_from_the_start(&subject, Duration::from_secs(5)),
        );
        let staged = staged.client(0, 0, connected()).until(1);
        let heard = staged.client(3_000, 0, told("still there?\n"));
        assert_eq!(
            heard.read(found).map(|found| found.choice),
            heard.read(says)
        );
        assert!(heard.read(found).is_some());
    }
}
