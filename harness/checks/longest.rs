//! How long a request may be: all up to a length are answered, and each that is longer meets the same.

use super::choices::Found;
use super::observations::Sighting;
use super::{datagram, partial};
use crate::judge::Choice;
use crate::model::action::Action;
use crate::model::data::{Data, Segmentation, Source};
use crate::model::dialogue::{self, ClientSteps, scenario, settle};
use crate::model::expectation::Expectation;
use crate::model::need::Need;
use crate::model::profile::{Framing, Longest, Model, TooLong};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::subject::Subject;
use crate::model::template::{Template, common};
use crate::transcript::event::{ClientEvent, What};
use std::time::Duration;

/// Into so many parts the lengths are divided between one that is answered and one that is not.
const PARTS: usize = 16;

/// How many lengths are tried beyond the longest at most.
const MOST_BEYOND: usize = 16;

/// Whether a request can be too long for a server, and something tells.
pub(super) fn may_be_met(subject: &Subject) -> bool {
    let needs = [Need::MODEL, Need::REPLY, Need::MANY_CONNECTIONS];
    needs.iter().all(|need| need.unmet(subject).is_none())
        && !subject.profile.is_modelled_in(Framing::Stream)
        && subject.profile.promises.longest.is_none()
}

/// A request of so many bytes, whatever is promised. Each length has bytes of its own, so that an answer to one is not taken
/// for that to another.
fn request(model: Model, bytes: usize, subject: &Subject) -> Data {
    model.payload_of(bytes, subject.seed.wrapping_add(bytes as u64))
}

/// A client that makes such a request. The end of a line comes by itself: many servers look at how much they hold before they
/// look for a newline in it, and take more where that came with the rest.
fn asks(who: usize, bytes: usize, model: Model, subject: &Subject) -> ClientSteps {
    let segmentation = match model.framing {
        Framing::Line => Segmentation::At(vec![bytes - 1]),
        Framing::Datagram | Framing::Stream => Segmentation::Whole,
    };
    let steps = ClientSteps::of(who).open(subject);
    steps.send_parts(request(model, bytes, subject), segmentation, subject)
}

/// A client whose request of so many bytes is answered.
fn is_answered(who: usize, bytes: usize, model: Model, subject: &Subject) -> ClientSteps {
    let data = request(model, bytes, subject);
    let reply = model.reply(&data).map(Expectation::Data);
    let within = partial::within(bytes);
    asks(who, bytes, model, subject)
        .expect_within(reply.unwrap_or(Expectation::Taken), within)
        .finish(subject)
}

/// Clients that come one after the other, each with a longer request than the one before.
fn ladder(lengths: &[usize], model: Model, subject: &Subject) -> Scenario {
    let rung = |bytes: &usize| is_answered(0, *bytes, model, subject).lines();
    let mut lines: Vec<Line> = lengths.iter().flat_map(rung).collect();
    lines.push(settle());
    scenario("ever longer requests", &[("alice", 1)], vec![lines])
}

/// The same, of the sizes around which buffers end.
pub(super) fn usual_ladder(subject: &Subject) -> Option<Scenario> {
    let model = subject.profile.model()?;
    let mut lengths = match model.framing {
        Framing::Datagram => datagram::sizes(model),
        Framing::Line | Framing::Stream => partial::sizes(model, false),
    };
    lengths.retain(|bytes| *bytes > 1);
    Some(ladder(&lengths, model, subject))
}

/// How long the longest request in some bytes is.
fn longest_in(data: &Data, framing: Framing) -> usize {
    match (&data.source, framing) {
        (Source::Literal(bytes), Framing::Line) => {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            lines.map(<[u8]>::len).max().unwrap_or(0)
        }
        (Source::Text { bytes, .. } | Source::Pattern { bytes, .. }, Framing::Line) => *bytes,
        (Source::Lines { each, .. }, Framing::Line) => *each,
        (Source::Parts(_) | Source::Written { .. }, Framing::Line)
        | (_, Framing::Datagram | Framing::Stream) => data.length(),
    }
}

/// What is sent in a scenario: the number of the step, and how long the longest request is.
fn sent(scenario: &Scenario, framing: Framing) -> Vec<(usize, usize)> {
    let steps = scenario.steps().into_iter().enumerate();
    let sent = steps.filter_map(|(at, line)| match &line.step {
        Step::Client {
            action: Action::Send { data, .. },
            ..
        } => Some((at, longest_in(data, framing))),
        _ => None,
    });
    sent.collect()
}

/// Ever longer requests up to the longest that was sent when something failed, where any was longer than a polite one.
pub(super) fn climbed(seen: &Sighting<'_>) -> Option<Scenario> {
    let model = seen.subject.profile.model()?;
    let polite = dialogue::request(&seen.subject.profile)?.len();
    let sent = sent(seen.scenario, model.framing).into_iter();
    let mut lengths: Vec<usize> = sent.map(|(_, bytes)| bytes).collect();
    lengths.retain(|bytes| *bytes > polite);
    let longest = *lengths.iter().max()?;
    lengths.extend((1..=longest.ilog2()).map(|power| 1 << power));
    lengths.sort_unstable();
    lengths.dedup();
    Some(ladder(&lengths, model, seen.subject))
}

/// The longest request of a ladder that was answered, and those from the first that was not.
struct Climb {
    answered: usize,
    longer: Vec<usize>,
}

impl Climb {
    /// `None` where all were answered, none was, or the conversation failed at something else than an answer.
    fn of(seen: &Sighting<'_>, framing: Framing) -> Option<Self> {
        let events = seen.transcript.events.iter();
        let began = events.filter_map(|event| match event.what {
            What::StepBegan(step) => Some(step),
            _ => None,
        });
        let last = began.max()?;
        let awaits = |action: &Action| {
            matches!(
                action,
                Action::Expect {
                    what: Expectation::Data(_),
                    ..
                }
            )
        };
        let steps = seen.scenario.steps();
        steps.get(last)?.action().filter(|action| awaits(action))?;
        let sent = sent(seen.scenario, framing);
        let refused = sent.iter().rposition(|(at, _)| *at < last)?;
        let (_, answered) = sent[refused.checked_sub(1)?];
        let longer = sent[refused..].iter().map(|(_, bytes)| *bytes);
        Some(Self {
            answered,
            longer: longer.collect(),
        })
    }

    /// The ladder between its last rung and the one above; `None` where nothing is between them.
    fn narrower(&self, model: Model, subject: &Subject) -> Option<Scenario> {
        let between = self.longer[0] - self.answered;
        let rungs = (0..PARTS).map(|n| self.answered + between * n / PARTS);
        let mut lengths: Vec<usize> = rungs.chain(self.longer.iter().copied()).collect();
        lengths.dedup();
        (between > 1).then(|| ladder(&lengths, model, subject))
    }
}

/// Lengths beyond the longest, from the next one on: the least by which one can be longer, and much more.
fn beyond(bytes: usize, framing: Framing) -> Vec<usize> {
    let mut lengths = vec![
        bytes + 1,
        bytes + 2,
        bytes + bytes / 16,
        bytes + bytes / 2,
        2 * bytes,
        4 * bytes,
    ];
    lengths.retain(|length| {
        *length > bytes && (framing != Framing::Datagram || *length <= datagram::LARGEST)
    });
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Some of these, the first and the last among them.
fn some_of(lengths: &[usize]) -> Vec<usize> {
    let every = lengths.len().div_ceil(MOST_BEYOND).max(1);
    let mut some: Vec<usize> = lengths.iter().copied().step_by(every).collect();
    some.extend(lengths.last());
    some.dedup();
    some
}

/// What is waited for when a request is too long. Either is waited for until all is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The connection ends.
    Ends,
    /// It stays.
    Stays,
}

/// How long a connection is watched that stays, where the kernel does not show that nothing more will come.
const STAYS_FOR: Duration = Duration::from_secs(1);

/// The lengths beyond the longest of a ladder, from the next one on.
fn longer_than(climb: &Climb, framing: Framing) -> Vec<usize> {
    let mut longer = beyond(climb.answered, framing);
    longer.extend(some_of(&climb.longer));
    longer.sort_unstable();
    longer.dedup();
    longer
}

/// A client whose request is answered, and others whose requests are too long, one after the other.
fn watched(
    answered: usize,
    longer: &[usize],
    outcome: Outcome,
    model: Model,
    subject: &Subject,
) -> Scenario {
    let names: Vec<String> = (0..=longer.len())
        .map(|n| format!("client-{}", n + 1))
        .collect();
    let names: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let first = is_answered(0, answered, model, subject).lines();
    let watch = |(who, bytes): (usize, &usize)| {
        let within = partial::within(*bytes);
        let steps = asks(who, *bytes, model, subject);
        let steps = match outcome {
            Outcome::Ends => steps.expect_within(Expectation::any_end(), within),
            Outcome::Stays => steps
                .expect_within(Expectation::Taken, within)
                .expect_within(Expectation::Open, STAYS_FOR),
        };
        steps.then(Action::Close).lines()
    };
    let watch = (1..).zip(longer).flat_map(watch).collect();
    scenario(
        "requests that are too long",
        &names,
        vec![first, watch, vec![settle()]],
    )
}

/// What became of a client whose request was too long.
#[derive(Default)]
struct Told {
    words: Vec<u8>,
    is_ended: bool,
    has_left: bool,
}

impl Told {
    /// What became of one of the clients.
    fn of(who: usize, seen: &Sighting<'_>) -> Self {
        let mut told = Self::default();
        for event in &seen.transcript.events {
            match &event.what {
                What::Client(id, happened) if id.who == who => told.apply(happened),
                _ => {}
            }
        }
        let unasked = seen.subject.profile.unasked();
        told.words.drain(..unasked.before(&told.words));
        told
    }

    fn apply(&mut self, happened: &ClientEvent) {
        match happened {
            ClientEvent::Received(bytes) => self.words.extend_from_slice(&bytes.bytes()),
            ClientEvent::Datagram { bytes, .. } => self.words.extend_from_slice(bytes),
            ClientEvent::Ended(_) if !self.has_left => self.is_ended = true,
            ClientEvent::Closed => self.has_left = true,
            _ => {}
        }
    }
}

/// What all say, but for the numbers in it, such as how long the request was.
fn common_words(told: &[Told]) -> Option<Template> {
    common(told.iter().map(|told| told.words.as_slice()))
}

/// Whether clients are watched whose requests are too long: each of them is one of its own.
fn is_watched(scenario: &Scenario) -> bool {
    scenario.clients.len() > 1
}

/// What becomes of each request that is longer than `bytes`, where that is the same.
fn refusal(
    bytes: usize,
    longer: &[usize],
    told: &[Told],
    model: Model,
    subject: &Subject,
) -> Option<TooLong> {
    let is_silent = told.iter().all(|told| told.words.is_empty());
    let is_cut = |(length, told): (&usize, &Told)| {
        cut(*length, bytes, model, subject).is_some_and(|reply| told.words == reply.bytes(0))
    };
    let ended = told.iter().filter(|told| told.is_ended).count();
    match ended {
        0 if is_silent => Some(TooLong::Dropped),
        0 if longer.iter().zip(told).all(is_cut) => Some(TooLong::Cut),
        0 => common_words(told).map(TooLong::Answered),
        _ if ended < told.len() => None,
        _ if is_silent => Some(TooLong::Closed(None)),
        _ => common_words(told).map(|words| TooLong::Closed(Some(words))),
    }
}

/// The reply to a request of this length as if it had ended where the longest one does.
fn cut(length: usize, longest: usize, model: Model, subject: &Subject) -> Option<Data> {
    // A shorter payload of the same seed is the beginning of a longer one.
    let seed = subject.seed.wrapping_add(length as u64);
    model.reply(&model.payload_of(longest, seed))
}

/// Whether this is waited for in any step.
fn awaits(seen: &Sighting<'_>, wanted: &Expectation) -> bool {
    let steps = seen.scenario.steps();
    let mut actions = steps.iter().filter_map(|line| line.action());
    actions.any(|action| matches!(action, Action::Expect { what, .. } if what == wanted))
}

/// The longest request that the server takes, where each longer one meets the same.
pub(super) fn longest(seen: &Sighting<'_>) -> Option<Found> {
    let model = seen.subject.profile.model()?;
    let sent = sent(seen.scenario, model.framing);
    let (_, bytes) = *sent.first()?;
    let longer: Vec<usize> = sent[1..].iter().map(|(_, bytes)| *bytes).collect();
    let choice = |bytes, refused| Choice::Longest {
        longest: Longest { bytes, refused },
        framing: model.framing,
    };
    let further = |bytes, further| Found {
        further: Some(further),
        ..Found::of(choice(bytes, None))
    };
    let watch = |bytes, longer: &[usize], outcome| {
        let scenario = watched(bytes, longer, outcome, model, seen.subject);
        Some(further(bytes, scenario))
    };
    if !is_watched(seen.scenario) {
        let climb = Climb::of(seen, model.framing)?;
        if let Some(narrower) = climb.narrower(model, seen.subject) {
            return Some(further(climb.answered, narrower));
        }
        let outcome = match model.framing {
            Framing::Datagram => Outcome::Stays,
            Framing::Line | Framing::Stream => Outcome::Ends,
        };
        let longer = longer_than(&climb, model.framing);
        return watch(climb.answered, &longer, outcome);
    }
    if !seen.came_to_the_last_step() {
        let awaits_an_end = !awaits(seen, &Expectation::Open);
        return awaits_an_end
            .then(|| watch(bytes, &longer, Outcome::Stays))
            .flatten();
    }
    let told: Vec<Told> = (1..=longer.len()).map(|who| Told::of(who, seen)).collect();
    let refused = refusal(bytes, &longer, &told, model, seen.subject)?;
    let longest = Longest {
        bytes,
        refused: Some(refused),
    };
    Some(Found {
        confirm: Some(held(&longest, &longer, model, seen.subject)),
        ..Found::of(choice(longest.bytes, longest.refused))
    })
}

/// What a ladder tells: the longest request that was answered, and the next one, where that was not.
pub(super) fn answered(seen: &Sighting<'_>) -> Option<(usize, Option<usize>)> {
    let framing = seen.subject.profile.model()?.framing;
    if let Some(climb) = Climb::of(seen, framing) {
        return Some((climb.answered, climb.longer.first().copied()));
    }
    let (_, bytes) = *sent(seen.scenario, framing).last()?;
    seen.came_to_the_last_step().then_some((bytes, None))
}

/// A client whose request is too long sees what becomes of it.
fn is_refused(bytes: usize, longest: &Longest, model: Model, subject: &Subject) -> Vec<Line> {
    let within = partial::within(bytes);
    let steps = asks(0, bytes, model, subject);
    let goes_on = |steps: ClientSteps| match subject.profile.closes_after_exchange() {
        true => steps.finish(subject),
        false => steps.request_and_reply(subject).finish(subject),
    };
    match &longest.refused {
        None => {
            let leave = ClientSteps::of(0).then(Action::Close).lines();
            return [steps.lines(), vec![settle()], leave].concat();
        }
        Some(TooLong::Closed(text)) => {
            let text = text.clone().map(Expectation::Template).into_iter();
            text.chain([Expectation::any_end()])
                .fold(steps, |steps, what| steps.expect_within(what, within))
                .then(Action::Close)
        }
        Some(TooLong::Answered(text)) => {
            goes_on(steps.expect_within(Expectation::Template(text.clone()), within))
        }
        Some(TooLong::Cut) => {
            let reply = cut(bytes, longest.bytes, model, subject).map(Expectation::Data);
            goes_on(
                reply
                    .into_iter()
                    .fold(steps, |steps, what| steps.expect_within(what, within)),
            )
        }
        Some(TooLong::Dropped) => goes_on(
            steps
                .expect(Expectation::Taken)
                .expect(Expectation::Silence),
        ),
    }
    .lines()
}

/// Clients whose requests are answered up to the longest, and others whose requests are longer.
fn held(longest: &Longest, longer: &[usize], model: Model, subject: &Subject) -> Scenario {
    let shorter = [longest.bytes / 2, longest.bytes - 1, longest.bytes];
    let shorter = shorter.into_iter().filter(|bytes| *bytes > 0);
    let answered = shorter.flat_map(|bytes| is_answered(0, bytes, model, subject).lines());
    let refused = longer
        .iter()
        .flat_map(|bytes| is_refused(*bytes, longest, model, subject));
    scenario(
        "requests up to the longest, and longer ones",
        &[("alice", 1)],
        vec![
            answered.collect(),
            refused.collect(),
            ClientSteps::of(0).polite(subject).lines(),
        ],
    )
}

/// What is promised of the longest request, as scenarios.
pub(super) fn promised(subject: &Subject) -> Option<Vec<Scenario>> {
    let model = subject.profile.model()?;
    let longest = subject.profile.promises.longest.as_ref()?;
    let longer = beyond(longest.bytes, model.framing);
    Some(vec![held(longest, &longer, model, subject)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, server, told};
    use crate::model::expectation::End;
    use crate::model::profile::{Profile, Transport};
    use crate::model::subject::Place;
    use crate::transcript::event::{ClientId, Event, Transcript};

    fn subject(transport: Transport, framing: &str) -> Subject {
        let text = format!("model = \"echo\"\nframing = \"{framing}\"\n");
        let profile = Profile::parse("p", &text).unwrap();
        Subject::of(profile, Place::on(transport))
    }

    fn seen(what: Vec<What>) -> Transcript {
        let events = what.into_iter().map(|what| Event {
            at: Duration::ZERO,
            what,
        });
        Transcript::of(events.collect())
    }

    fn read(subject: &Subject, scenario: &Scenario, transcript: &Transcript) -> Option<Found> {
        longest(&Sighting {
            subject,
            scenario,
            transcript,
        })
    }

    /// What is tried at last of a server that answers so many bytes, where the first ladder has these rungs.
    fn tried_at_last(limit: usize, rungs: &[usize]) -> Vec<usize> {
        let subject = subject(Transport::Tcp, "line");
        let mut scenario = ladder(rungs, subject.profile.model().unwrap(), &subject);
        loop {
            let sent = sent(&scenario, Framing::Line);
            if is_watched(&scenario) {
                return sent.into_iter().map(|(_, bytes)| bytes).collect();
            }
            let refused = sent.iter().find(|(_, bytes)| *bytes > limit).unwrap();
            let began = (0..=refused.0 + 1).map(What::StepBegan).collect();
            let found = read(&subject, &scenario, &seen(began)).unwrap();
            scenario = found.further.unwrap();
        }
    }

    #[test]
    fn ladder_gets_narrower_until_one_more_byte_is_too_much() {
        for limit in [2, 3, 512, 513, 4_095, 65_537, 99_999] {
            let tried = tried_at_last(limit, &[2, 64, 4_096, 131_072, 131_073]);
            assert_eq!(tried[..3], [limit, limit + 1, limit + 2], "{tried:?}");
            assert!(tried.contains(&131_073), "{tried:?}");
        }
    }

    #[test]
    fn ladder_of_which_all_or_nothing_is_answered_tells_nothing() {
        let subject = subject(Transport::Tcp, "line");
        let scenario = ladder(&[2, 4], subject.profile.model().unwrap(), &subject);
        let began = |last: usize| seen((0..=last).map(What::StepBegan).collect());
        let last = scenario.lines.len() - 1;
        assert!(read(&subject, &scenario, &began(last)).is_none());
        assert!(read(&subject, &scenario, &began(2)).is_none());
        // It was the next one's connection that failed.
        assert!(read(&subject, &scenario, &began(4)).is_none());
    }

    #[test]
    fn datagram_beyond_the_longest_is_one_that_can_be_sent() {
        assert_eq!(
            beyond(datagram::LARGEST - 1, Framing::Datagram),
            [datagram::LARGEST]
        );
        assert!(beyond(datagram::LARGEST, Framing::Datagram).is_empty());
    }

    /// What is concluded of a server of datagrams that has said this to each that was too long.
    fn concluded(words: &dyn Fn(&[u8]) -> Vec<u8>) -> Option<TooLong> {
        let subject = subject(Transport::Udp, "datagram");
        let model = subject.profile.model().unwrap();
        let longer = [5, 8];
        let scenario = watched(4, &longer, Outcome::Stays, model, &subject);
        let began = (0..scenario.lines.len()).map(What::StepBegan);
        let says = (1..).zip(longer).map(|(who, bytes)| {
            let bytes = words(&request(model, bytes, &subject).bytes(0));
            let heard = ClientEvent::Datagram { from: None, bytes };
            What::Client(ClientId { who, member: 0 }, heard)
        });
        let transcript = seen(began.chain(says).collect());
        match read(&subject, &scenario, &transcript)?.choice {
            Choice::Longest { longest, .. } => longest.refused,
            _ => None,
        }
    }

    #[test]
    fn refusal_is_what_all_that_are_too_long_have_in_common() {
        let text = |text: &str| Some(TooLong::Answered(Template::parse(text).unwrap()));
        assert_eq!(concluded(&|sent| sent[..4].to_vec()), Some(TooLong::Cut));
        assert_eq!(concluded(&|_| b"no\n".to_vec()), text(r"no\n"));
        let counted = |sent: &[u8]| format!("{} are too many\n", sent.len()).into_bytes();
        assert_eq!(concluded(&counted), text(r"{any} are too many\n"));
        assert_eq!(concluded(&|sent| sent[..3].to_vec()), None);
        assert_eq!(concluded(&|sent| sent[1..].to_vec()), None);
    }

    #[test]
    fn request_can_be_too_long_where_lines_or_datagrams_are_answered_and_nothing_is_promised() {
        let may = |profile: &str| may_be_met(&server(profile));
        assert!(may("model = \"echo\"\nframing = \"line\"\n"));
        assert!(may(
            "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n"
        ));
        assert!(!may("model = \"echo\"\nframing = \"stream\"\n"));
        assert!(!may("model = \"discard\"\nframing = \"line\"\n"));
        let promised = "model = \"echo\"\nframing = \"line\"\n[promises]\nlongest = \"64KiB\"\n";
        assert!(!may(promised));
    }

    /// A scenario in which a client sends these, of a server of lines.
    fn sends(all: &[Data]) -> Scenario {
        let steps = all
            .iter()
            .fold(ClientSteps::of(0).connect(), |steps, data| {
                steps.send_data(data.clone(), Segmentation::Whole)
            });
        scenario("case", &[("alice", 1)], vec![steps.lines()])
    }

    fn line(bytes: usize) -> Data {
        Source::Text {
            bytes,
            seed: 1,
            line: true,
        }
        .into()
    }

    #[test]
    fn longest_request_in_some_bytes_is_the_longest_line_or_all_of_them() {
        let three = Data::literal("a\nlonger\nb\n");
        assert_eq!(longest_in(&three, Framing::Line), 7);
        assert_eq!(longest_in(&three, Framing::Datagram), 11);
        assert_eq!(longest_in(&line(50).times(3), Framing::Line), 50);
        assert_eq!(longest_in(&line(50).times(3), Framing::Stream), 150);
    }

    #[test]
    fn ladder_has_powers_of_two_up_to_the_longest_and_what_was_sent_beside() {
        let subject = subject(Transport::Tcp, "line");
        let climbs = |sent: &[Data]| {
            let staged = Staged::of(&subject, sends(sent));
            let ladder = staged.read(climbed)?;
            let sent = super::sent(&ladder, Framing::Line).into_iter();
            Some(sent.map(|(_, bytes)| bytes).collect::<Vec<_>>())
        };
        let all = [2, 4, 8, 16, 32, 64, 100, 128, 129];
        assert_eq!(
            climbs(&[line(100), line(129), line(100), line(5)]),
            Some(all.to_vec())
        );
        assert_eq!(climbs(&[line(64)]), Some(vec![2, 4, 8, 16, 32, 64]));
        // A polite request has 21 bytes.
        assert_eq!(climbs(&[line(21)]), None);
        assert!(climbs(&[line(22)]).is_some());
    }

    #[test]
    fn usual_ladder_begins_with_a_request_that_is_more_than_its_end() {
        let first = |transport, framing| {
            let subject = subject(transport, framing);
            let ladder = usual_ladder(&subject).unwrap();
            let framing = subject.profile.model().unwrap().framing;
            sent(&ladder, framing)[..2]
                .iter()
                .map(|(_, bytes)| *bytes)
                .collect::<Vec<_>>()
        };
        assert_eq!(first(Transport::Tcp, "line"), [2, 3]);
        assert_eq!(first(Transport::Udp, "datagram"), [15, 16]);
    }

    #[test]
    fn lengths_beyond_the_longest_are_the_next_ones_and_much_more() {
        assert_eq!(beyond(64, Framing::Line), [65, 66, 68, 96, 128, 256]);
        assert_eq!(beyond(1, Framing::Line), [2, 3, 4]);
        assert_eq!(
            beyond(30_000, Framing::Datagram),
            [30_001, 30_002, 31_875, 45_000, 60_000]
        );
    }

    #[test]
    fn few_of_many_lengths_are_tried_and_the_last_of_them() {
        let all: Vec<usize> = (1..=40).collect();
        assert_eq!(
            some_of(&all),
            [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40]
        );
        assert_eq!(some_of(&all[..38]).last(), Some(&38));
        assert_eq!(some_of(&all[..16]), &all[..16]);
        assert_eq!(some_of(&[]), [0; 0]);
        let climb = Climb {
            answered: 64,
            longer: vec![100, 128, 300],
        };
        let tried = longer_than(&climb, Framing::Line);
        assert_eq!(tried, [65, 66, 68, 96, 100, 128, 256, 300]);
    }

    #[test]
    fn ladder_between_two_rungs_has_sixteen_parts() {
        let subject = subject(Transport::Tcp, "line");
        let model = subject.profile.model().unwrap();
        let narrower = |answered, longer: &[usize]| {
            let longer = longer.to_vec();
            let ladder = Climb { answered, longer }.narrower(model, &subject)?;
            let sent = sent(&ladder, Framing::Line).into_iter();
            Some(sent.map(|(_, bytes)| bytes).collect::<Vec<_>>())
        };
        let rungs = (0..16).map(|n| 100 + 2 * n).chain([132, 500]).collect();
        assert_eq!(narrower(100, &[132, 500]), Some(rungs));
        assert_eq!(narrower(100, &[102]), Some(vec![100, 101, 102]));
        assert_eq!(narrower(100, &[101]), None);
    }

    #[test]
    fn answered_are_all_or_those_below_the_first_that_is_not() {
        let subject = subject(Transport::Tcp, "line");
        let ladder = || ladder(&[2, 4, 8], subject.profile.model().unwrap(), &subject);
        // Each client connects, sends, expects and closes.
        let until = |step| Staged::of(&subject, ladder()).until(step).read(answered);
        assert_eq!(until(6), Some((2, Some(4))));
        assert_eq!(until(10), Some((4, Some(8))));
        assert_eq!(until(9), None);
        let whole = Staged::of(&subject, ladder()).whole();
        assert_eq!(whole.read(answered), Some((8, None)));
    }

    /// What is concluded of a server of lines, whose clients with too long requests met this, and left.
    fn refused(met: &[&[ClientEvent]]) -> Option<TooLong> {
        let speaks = "model = \"echo\"\nframing = \"line\"\n[promises]\nunasked = [': hi\\n']\n";
        let subject = server(speaks);
        let model = subject.profile.model().unwrap();
        let longer: Vec<usize> = (0..met.len()).map(|n| 100 << n).collect();
        let scenario = watched(64, &longer, Outcome::Ends, model, &subject);
        let mut staged = Staged::of(&subject, scenario).whole();
        for (who, events) in (1..).zip(met) {
            for event in *events {
                staged = staged.client(1, who, event.clone());
            }
            staged = staged.client(2, who, ClientEvent::Closed);
            staged = staged.client(3, who, ClientEvent::Ended(End::Fin));
        }
        match staged.read(longest)?.choice {
            Choice::Longest { longest, .. } => longest.refused,
            _ => None,
        }
    }

    #[test]
    fn what_becomes_of_a_request_that_is_too_long_is_what_becomes_of_each() {
        let fin = || ClientEvent::Ended(End::Fin);
        let no = || told("no\n");
        let text = || Template::parse(r"no\n").unwrap();
        assert_eq!(refused(&[&[fin()], &[fin()]]), Some(TooLong::Closed(None)));
        assert_eq!(
            refused(&[&[no(), fin()], &[no(), fin()]]),
            Some(TooLong::Closed(Some(text())))
        );
        assert_eq!(refused(&[&[fin()], &[]]), None);
        assert_eq!(refused(&[&[], &[]]), Some(TooLong::Dropped));
        assert_eq!(
            refused(&[&[no()], &[no()]]),
            Some(TooLong::Answered(text()))
        );
        // What it says to everybody by itself is no answer.
        assert_eq!(refused(&[&[told(": hi\n")], &[]]), Some(TooLong::Dropped));
    }

    #[test]
    fn clients_that_are_not_ended_are_watched_to_stay() {
        let subject = subject(Transport::Tcp, "line");
        let model = subject.profile.model().unwrap();
        let watch = |outcome| {
            let scenario = watched(64, &[65, 66], outcome, model, &subject);
            let staged = Staged::of(&subject, scenario).until(5);
            staged.read(longest).and_then(|found| found.further)
        };
        let further = watch(Outcome::Ends).unwrap();
        assert!(
            further.to_string().contains("expect open within 1s"),
            "{further}"
        );
        assert!(watch(Outcome::Stays).is_none());
    }

    #[test]
    fn limit_that_was_found_is_confirmed_by_requests_up_to_it_and_beyond() {
        let subject = subject(Transport::Tcp, "line");
        let model = subject.profile.model().unwrap();
        let longest = Longest {
            bytes: 64,
            refused: Some(TooLong::Dropped),
        };
        let lengths = |longest: &Longest| {
            let held = held(longest, &[65, 128], model, &subject);
            let sent = sent(&held, Framing::Line).into_iter();
            sent.map(|(_, bytes)| bytes).collect::<Vec<_>>()
        };
        // Who is not answered makes a polite exchange, as does whoever comes last.
        assert_eq!(lengths(&longest), [32, 63, 64, 65, 21, 128, 21, 21]);
        let shortest = Longest {
            bytes: 1,
            refused: None,
        };
        assert_eq!(lengths(&shortest), [1, 65, 128, 21]);
    }

    #[test]
    fn ladder_is_watched_beyond_its_end_where_no_length_is_between() {
        let further = |transport, framing: &str| {
            let subject = subject(transport, framing);
            let model = subject.profile.model().unwrap();
            let ladder = ladder(&[64, 65], model, &subject);
            let steps = ladder.steps();
            let asks = |line: &&Line| {
                matches!(
                    line.action(),
                    Some(Action::Expect {
                        what: Expectation::Data(_),
                        ..
                    })
                )
            };
            let second = steps.iter().rposition(asks).unwrap();
            let staged = Staged::of(&subject, ladder.clone()).until(second);
            staged.read(longest).unwrap().further.unwrap().to_string()
        };
        assert!(further(Transport::Tcp, "line").contains("expect fin or reset"));
        assert!(further(Transport::Udp, "datagram").contains("expect open"));
    }
}
