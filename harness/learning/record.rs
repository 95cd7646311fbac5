//! A live session as a scenario.

use super::again::{said_again, told_otherwise, until_another_second};
use super::holes::{Suspected, fits, open_ended, template, with_numbers};
use super::replies::Replies;
use super::script::{Move, Script, awaited, client_name, expected, something, without_relay};
use super::tape::{Heard, Side, Tape};
use super::watch::{Pair, Watched, watched};
use crate::launch::Target;
use crate::model::action::Action;
use crate::model::dialogue::{ClientSteps, settle};
use crate::model::error::Error;
use crate::model::expectation::{End, Expectation};
use crate::model::limits::STEP_WITHIN;
use crate::model::literal::{Shown, shown};
use crate::model::profile::Transport;
use crate::model::scenario::{Line, Scenario, Step};
use crate::runner::{Circumstances, Settings};

/// On so many servers, twice on each, the session is repeated to find out what varies.
const REPEATS: &[usize] = &[2, 2];

/// A scenario with more moves than this nobody reads.
const MOST_MOVES: usize = 1_000;

/// A session as scenarios, each of which takes more of what was heard to vary than the one before.
pub(crate) struct Recorded {
    pub(crate) scenarios: Vec<Scenario>,
    /// What the server is reached over.
    pub(crate) over: Transport,
}

/// Records what a client does once, and returns it as scenarios of this name. `tell` is told of each step.
///
/// # Errors
/// Server or client do not run, or there is nothing to record.
pub(crate) fn record(pair: Pair<'_>, name: &str, tell: &dyn Fn(&str)) -> Result<Recorded, Error> {
    tell("runs the client");
    let Watched {
        tapes,
        ports,
        usual,
    } = watched(pair, 1)?;
    let tape = tapes.into_iter().next().unwrap_or_else(Tape::new);
    let over = one_transport(&tape)?;
    if over != usual {
        return Err(Error::NotLearned(format!(
            "the client came over {over}, and the server is drilled over {usual} where nobody says: give a target file as --server, \
             in which its transport stands; `sockdrill learn` writes one"
        )));
    }
    let mut script = script(&tape, over, ports);
    if script.moves.len() > MOST_MOVES {
        return Err(Error::NotLearned(format!(
            "the client does more than {MOST_MOVES} things: let it do less"
        )));
    }
    let times: usize = REPEATS.iter().sum();
    tell(&format!(
        "does the same {times} times, on {} servers",
        REPEATS.len()
    ));
    let server = pair.server.on(over);
    let mut seen = repeated(&server, &script, pair.settings)?;
    // What it was told the first time may vary; and what it was told in pieces may come at once.
    for other in [something(), None] {
        if seen.iter().all(|replies| is_whole(&script, replies)) {
            break;
        }
        for (_, what) in &mut script.moves {
            if let Move::Hear(awaited) = what {
                awaited.clone_from(&other);
            }
        }
        seen = repeated(&server, &script, pair.settings)?;
    }
    all_answered(&script, &seen)?;
    all_as_told(&script, &seen, over)?;
    let mut scenarios: Vec<Scenario> = Vec::new();
    for suspected in Suspected::ALL {
        let lines = lines(&script, &seen, over, *suspected);
        if !lines.iter().any(expects) {
            return Err(Error::NotLearned(
                "the server said nothing to the client: there is nothing that a scenario could hold it to".to_owned(),
            ));
        }
        let scenario = script.named(name, lines);
        if scenarios.last() != Some(&scenario) {
            scenarios.push(scenario);
        }
    }
    Ok(Recorded { scenarios, over })
}

fn repeated(server: &Target, script: &Script, settings: &Settings) -> Result<Vec<Replies>, Error> {
    let mut seen = Vec::new();
    for (number, times) in REPEATS.iter().enumerate() {
        until_another_second()?;
        let circumstances = Circumstances::of(number);
        seen.extend(said_again(
            server,
            script,
            settings,
            (circumstances, *times),
        )?);
    }
    Ok(seen)
}

/// Whether something was heard in every move that waited for something.
fn is_whole(script: &Script, replies: &Replies) -> bool {
    let moves = script.moves.iter().zip(&replies.heard);
    let mut waited = moves.filter(|((_, what), _)| matches!(what, Move::Hear(Some(_))));
    waited.all(|(_, heard)| !heard.is_empty())
}

/// Makes sure that each client has heard something, each time, where it was told something.
fn all_answered(script: &Script, seen: &[Replies]) -> Result<(), Error> {
    let is_unheard =
        |(n, _): &&(usize, Vec<u8>)| seen.iter().any(|seen| is_lacking(script, seen, *n));
    match script.told.iter().find(is_unheard) {
        None => Ok(()),
        Some((n, told)) => Err(Error::NotLearned(format!(
            "{} was told {}, and nothing came within {} when the same was done again: a scenario would not hold the server to it; \
             what the client says may depend on what it was told before, or the server is slower than that, or speaks at times of \
             its own",
            client_name(script.moves[*n].0),
            shown(told),
            Shown(STEP_WITHIN)
        ))),
    }
}

/// Makes sure that what was heard is what the clients were told themselves, but for what varies.
fn all_as_told(script: &Script, seen: &[Replies], over: Transport) -> Result<(), Error> {
    for (n, told) in &script.told {
        let heard = seen.iter().map(|seen| seen.heard[*n].clone());
        let heard: Vec<Vec<u8>> = heard.filter(|heard| !heard.is_empty()).collect();
        if let Some(other) = heard.first()
            && !fits(told, &heard, over.is_datagram())
        {
            return Err(told_otherwise(told, other));
        }
    }
    Ok(())
}

/// Whether a line holds the server to something.
fn expects(line: &Line) -> bool {
    let step = &line.step;
    matches!(
        step,
        Step::Client {
            action: Action::Expect { .. },
            ..
        }
    )
}

/// Whether nothing was heard in a move, nor came before in its place.
fn is_lacking(script: &Script, seen: &Replies, n: usize) -> bool {
    let who = script.moves[n].0;
    let told = script
        .told
        .iter()
        .filter(|(at, _)| *at <= n && script.moves[*at].0 == who);
    let told: usize = told.map(|(_, told)| told.len()).sum();
    let heard = script.moves.iter().zip(&seen.heard).take(n + 1);
    let heard = heard.filter(|((of, _), _)| *of == who);
    let heard: usize = heard.map(|(_, heard)| heard.len()).sum();
    seen.heard[n].is_empty() && heard < told
}

/// What all connections came over.
fn one_transport(tape: &Tape) -> Result<Transport, Error> {
    let over = tape.connections.first().copied();
    let over = over.filter(|over| tape.connections.iter().all(|other| other == over));
    over.ok_or_else(|| {
        Error::NotLearned(
            "the client came over TCP and over UDP: a scenario is of one of them".to_owned(),
        )
    })
}

/// What the clients have done, each connection a client. Whoever does something has heard all that anybody was told before.
fn script(tape: &Tape, over: Transport, ports: (u16, u16)) -> Script {
    let mut script = Script::default();
    // What each has been told and has not yet heard.
    let mut told: Vec<Vec<u8>> = vec![Vec::new(); tape.connections.len()];
    let mut ended = vec![false; tape.connections.len()];
    for (n, sound) in tape.sounds.iter().enumerate() {
        let who = sound.of;
        match &sound.what {
            Heard::Said(Side::Server, bytes) => {
                told[who].extend_from_slice(bytes);
                continue;
            }
            Heard::Ended(Side::Server) if ended[who] => continue,
            _ => hear(&mut script, &mut told, over, ports),
        }
        let later = &tape.sounds[n + 1..];
        let is_told_later = later
            .iter()
            .any(|later| later.of == who && matches!(later.what, Heard::Said(Side::Server, _)));
        let what = match &sound.what {
            Heard::Came => Move::Connect,
            Heard::Said(_, bytes) => Move::Say(without_relay(bytes, ports)),
            Heard::Ended(Side::Client) if is_told_later => Move::HalfClose,
            Heard::Ended(Side::Client) => {
                ended[who] = true;
                Move::Close
            }
            Heard::Ended(Side::Server) => Move::FindEnd,
        };
        script.moves.push((who, what));
    }
    hear(&mut script, &mut told, over, ports);
    for who in (0..ended.len()).filter(|who| !ended[*who]) {
        script.moves.push((who, Move::Close));
    }
    script
}

/// All that clients have been told is heard.
fn hear(script: &mut Script, told: &mut [Vec<u8>], over: Transport, ports: (u16, u16)) {
    for (who, told) in told.iter_mut().enumerate() {
        if !told.is_empty() {
            let told = without_relay(&std::mem::take(told), ports);
            let awaited = awaited(std::slice::from_ref(&told), over).or_else(something);
            script.told.push((script.moves.len(), told));
            script.moves.push((who, Move::Hear(awaited)));
        }
    }
}

/// The lines of the scenario: what was heard each time is expected, as far as it was the same.
fn lines(script: &Script, seen: &[Replies], over: Transport, suspected: Suspected) -> Vec<Line> {
    let mut lines = Vec::new();
    for (n, (who, what)) in script.moves.iter().enumerate() {
        let steps = ClientSteps::of(*who);
        lines.extend(match what {
            Move::Connect => steps.connect().lines(),
            Move::Say(bytes) => steps.send(bytes.clone()).lines(),
            Move::HalfClose => steps.then(Action::HalfClose).lines(),
            Move::Close => steps.then(Action::Close).lines(),
            Move::Hear(_) => {
                let samples: Vec<Vec<u8>> = seen.iter().map(|seen| seen.heard[n].clone()).collect();
                match samples.iter().all(Vec::is_empty) {
                    true => Vec::new(),
                    false => {
                        let mut told = script.told.iter().filter(|(at, _)| *at == n);
                        let told = told.next().map(|(_, told)| told);
                        heard(steps, (&samples, told), over, suspected)
                    }
                }
            }
            Move::FindEnd => ends(seen, *who).map_or_else(Vec::new, |kinds| {
                let end = Expectation::End {
                    kinds,
                    all_bytes_first: true,
                };
                steps.expect(end).lines()
            }),
        });
    }
    lines
}

/// What is expected where this was heard, and the client was told that; where nothing tells the end of it, the server comes to rest.
fn heard(
    steps: ClientSteps,
    (samples, told): (&[Vec<u8>], Option<&Vec<u8>>),
    over: Transport,
    suspected: Suspected,
) -> Vec<Line> {
    let template = template(samples, over.is_datagram(), suspected).map(|template| {
        let all: Vec<_> = samples.iter().chain(told).cloned().collect();
        with_numbers(template, &all, over.is_datagram())
    });
    match template.or_else(|| open_ended(samples)) {
        None => vec![settle()],
        Some(template) => steps.expect(expected(template)).lines(),
    }
}

/// In which ways the server ended a client's connection, where it did so each time.
fn ends(seen: &[Replies], who: usize) -> Option<Vec<End>> {
    let ends: Option<Vec<End>> = seen
        .iter()
        .map(|seen| seen.end_of(who).map(|(_, end)| end))
        .collect();
    let mut ends = ends?;
    ends.dedup();
    Some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Client, Server};

    fn tape(connections: usize, sounds: &[(usize, Heard)]) -> Tape {
        let mut tape = Tape::new();
        tape.connections = vec![Transport::Tcp; connections];
        for (of, what) in sounds {
            tape.hear(*of, what.clone());
        }
        tape
    }

    fn said(side: Side, text: &str) -> Heard {
        Heard::Said(side, text.as_bytes().to_vec())
    }

    fn text(tape: &Tape) -> String {
        let script = script(tape, Transport::Tcp, (1, 2));
        let (scenario, _) = script.scenario();
        let text = scenario.to_string();
        let lines = text.lines().skip(3).filter(|line| !line.contains("settle"));
        lines.map(|line| line.trim().to_owned() + "; ").collect()
    }

    #[test]
    fn what_anybody_was_told_is_heard_before_anybody_goes_on() {
        let session = tape(
            2,
            &[
                (0, Heard::Came),
                (0, said(Client, "sub")),
                (0, said(Server, "ok")),
                (1, Heard::Came),
                (1, said(Client, "pub")),
                (1, said(Server, "1")),
                (0, said(Server, "new")),
                (1, Heard::Ended(Client)),
                (1, Heard::Ended(Server)),
                (0, Heard::Ended(Client)),
            ],
        );
        assert_eq!(
            text(&session),
            "alice connect; alice send \"sub\"; alice expect \"ok\"; bob connect; bob send \"pub\"; alice expect \"new\"; \
             bob expect \"1\"; bob close; alice close; "
        );
    }

    #[test]
    fn end_of_a_client_that_is_told_more_is_a_half_close() {
        let session = tape(
            1,
            &[
                (0, Heard::Came),
                (0, said(Client, "all")),
                (0, Heard::Ended(Client)),
                (0, said(Server, "ALL")),
                (0, Heard::Ended(Server)),
            ],
        );
        assert_eq!(
            text(&session),
            "alice connect; alice send \"all\"; alice half-close; alice expect \"ALL\"; alice close; "
        );
    }
}
