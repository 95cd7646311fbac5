//! From a server and a client of its own to a target file that passes.

use super::again::{said_again, told_otherwise, until_another_second};
use super::holes::{Suspected, fits, template, with_numbers};
use super::replies::Replies;
use super::said_back::SaidBack;
use super::script::{Ask, Script, Talk, awaited, best, expected, something, talks, without_relay};
use super::watch::{Pair, Watched, interrupted, watched};
use super::written::{Exchange, Lesson, Seen, text, understood};
use crate::checks::observations::PROMISED_BY;
use crate::launch::Target;
use crate::model::data::Match;
use crate::model::error::Error;
use crate::model::expectation::{End, Expectation};
use crate::model::literal::{Excerpt, shown};
use crate::model::profile::{AfterExchange, Transport};
use crate::model::template::Template;
use crate::report::data::{CheckResult, Outcome, Report};
use crate::runner::{self, Circumstances, Settings};

/// How often the client runs on each of the servers that are started for it.
const RUNS: &[usize] = &[2, 1, 1];

/// How often all of it is said again on each of the servers that are started for that: what a server counts, or keeps from one client
/// to the next, shows on the same one.
const REPEATS: &[usize] = &[3, 3, 2];

/// More than this is no example of a conversation any more.
const MOST_EXCHANGES: usize = 30;

/// What was learned of a server, and how it did in its first checks.
pub(crate) struct Learned {
    /// The text of the target file.
    pub(crate) text: String,
    /// What came of the checks whether a polite client is served.
    pub(crate) report: Report,
}

/// Learns what a server speaks from a client, and what it may promise from trying. `how` is the command that does so, `tell` is told
/// of each step.
///
/// # Errors
/// Server or client do not run, what they say cannot be learned from, or what was learned does not pass.
pub(crate) fn learn(pair: Pair<'_>, how: &str, tell: &dyn Fn(&str)) -> Result<Learned, Error> {
    let runs: usize = RUNS.iter().sum();
    tell(&format!(
        "runs the client {runs} times, on {} servers",
        RUNS.len()
    ));
    let talks = heard(pair)?;
    let (said, other_words) = agreed(&talks)?;
    tell(&format!(
        "says {} again, on {} servers",
        counted(said.turns.len(), "request"),
        REPEATS.len()
    ));
    let server = pair.server.on(said.over);
    let pupil = Pupil {
        server: &server,
        settings: pair.settings,
        over: said.over,
    };
    let again = pupil.again(&talks)?;
    let mut why = interrupted();
    for suspected in Suspected::ALL {
        let mut lesson = pupil.lesson(&again, &other_words, *suspected)?;
        if let Some(failed) = pupil.failed(&lesson, again.closes)? {
            let text = text(pair.server, &lesson, how);
            why = Error::NotLearned(format!(
                "what was learned does not hold, and was not written: {failed}\n{}",
                before_promises(&text)
            ));
            tell("takes more to vary than has been seen to");
            continue;
        }
        tell("tries what the server may promise");
        let report = pupil.tried(&lesson, again.closes, true)?;
        if report.interrupted {
            return Err(interrupted());
        }
        lesson.seen = Seen::of(&report.observations);
        let text = text(pair.server, &lesson, how);
        return Ok(Learned { text, report });
    }
    Err(why)
}

/// What the file says of how the server is started, and what it speaks.
fn before_promises(text: &str) -> &str {
    let (before, _) = text.split_once("[profile.promises]").unwrap_or((text, ""));
    before
        .rsplit_once("\n\n")
        .map_or(before, |(before, _)| before)
}

fn counted(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// What was said over the connection that tells the most, of each run of the client.
fn heard(pair: Pair<'_>) -> Result<Vec<Talk>, Error> {
    let mut heard = Vec::new();
    for times in RUNS {
        let Watched { tapes, ports, .. } = watched(pair, *times)?;
        for tape in tapes {
            let best = best(talks(&tape)).ok_or_else(|| {
                Error::NotLearned(
                    "the client connected, and the server said nothing to it: an exchange needs an answer; without any, \
                     `sockdrill init` writes a target whose profile is blind"
                        .to_owned(),
                )
            })?;
            heard.push(Talk {
                turns: best
                    .turns
                    .into_iter()
                    .take(MOST_EXCHANGES)
                    .map(|turn| super::script::Turn {
                        said: without_relay(&turn.said, ports),
                        ..turn
                    })
                    .collect(),
                ..best
            });
        }
    }
    Ok(heard)
}

/// What the client said in its first run, and the numbers of the requests that were other ones in the others.
fn agreed(talks: &[Talk]) -> Result<(&Talk, Vec<usize>), Error> {
    let (first, others) = talks
        .split_first()
        .ok_or_else(|| Error::NotLearned("the client never ran".to_owned()))?;
    if let Some(other) = others
        .iter()
        .find(|other| other.over != first.over || other.turns.len() != first.turns.len())
    {
        return Err(Error::NotLearned(format!(
            "the client does not do the same each time: it said {} over {}, and then {} over {}; give one that does",
            counted(first.turns.len(), "request"),
            first.over,
            counted(other.turns.len(), "request"),
            other.over
        )));
    }
    let varies = |n: &usize| {
        others
            .iter()
            .any(|other| other.turns[*n].said != first.turns[*n].said)
    };
    Ok((first, (0..first.turns.len()).filter(varies).collect()))
}

/// What is asked of a server to learn from it.
struct Pupil<'a> {
    server: &'a Target,
    settings: &'a Settings,
    over: Transport,
}

/// What a server said to the same words, each time.
struct Answers {
    greetings: Vec<Vec<u8>>,
    replies: Vec<Vec<Vec<u8>>>,
    /// After how many requests it ended the connection, and how.
    ended: Option<(usize, End)>,
}

/// All that was said again, and answered.
struct Again {
    asks: Vec<Ask>,
    answers: Answers,
    /// The server closes after an exchange.
    closes: bool,
    /// What was said last, and ended the conversation.
    farewell: Option<Vec<u8>>,
}

impl Pupil<'_> {
    /// What the server says when all of it is said again, and whether it closes after an exchange.
    fn again(&self, talks: &[Talk]) -> Result<Again, Error> {
        let greeting = self.greeting(talks);
        let mut asks = self.asks(talks);
        let mut answers = match self.answers(greeting, &asks)? {
            Some(answers) => answers,
            // What had the replies of different runs in common may be what these have not.
            None => {
                for (n, ask) in asks.iter_mut().enumerate() {
                    let is_answered = |talk: &Talk| !talk.turns[n].answered.is_empty();
                    ask.awaited = something().filter(|_| talks.iter().all(is_answered));
                }
                self.answers(None, &asks)?
                    .ok_or_else(|| with_what_was_said_back(not_answered(&asks), talks))?
            }
        };
        // What the client was told itself is as good where it said the same.
        for (n, replies) in answers.replies.iter_mut().enumerate() {
            let same = talks
                .iter()
                .filter(|talk| talk.turns[n].said == asks[n].said);
            let told = same.clone().map(|talk| &talk.turns[n].answered);
            let mut told = told.filter(|told| !told.is_empty());
            if let (Some(heard), Some(told)) = (
                replies.first(),
                told.find(|told| !fits(told, replies, self.over.is_datagram())),
            ) {
                return Err(with_what_was_said_back(told_otherwise(told, heard), talks));
            }
            replies.extend(same.map(|talk| talk.turns[n].answered.clone()));
            replies.retain(|reply| !reply.is_empty());
        }
        let mut farewell = None;
        let closes = match answers.ended {
            Some((after, _)) if after == asks.len() && after > 1 => {
                farewell = asks.pop().map(|ask| ask.said);
                answers.replies.pop();
                false
            }
            ended => ended.is_some(),
        };
        Ok(Again {
            asks,
            answers,
            closes,
            farewell,
        })
    }

    /// What the server speaks, where this is taken to vary.
    fn lesson(
        &self,
        again: &Again,
        other_words: &[usize],
        suspected: Suspected,
    ) -> Result<Lesson, Error> {
        let Again {
            asks,
            answers,
            closes,
            farewell,
        } = again;
        let mut remarks: Vec<String> = farewell
            .iter()
            .map(|said| {
                format!(
                    "Left out, since the server closes behind it: {}",
                    shown(said)
                )
            })
            .collect();
        let is_datagram = self.over.is_datagram();
        let described =
            |samples: &[Vec<u8>], what: &str| described(samples, what, is_datagram, suspected);
        let greeting_template = match answers.greetings.iter().all(Vec::is_empty) {
            true => None,
            false => Some(described(&answers.greetings, "its greeting")?),
        };
        let mut exchanges: Vec<Exchange> = Vec::new();
        for (n, ask) in asks.iter().enumerate() {
            let what = format!("its reply to {}", shown(&ask.said));
            let reply = match described(&answers.replies[n], &what) {
                Ok(reply) => reply,
                Err(error) if n == 0 => return Err(error),
                Err(error) => {
                    remarks.push(format!("Left out with all behind it: {}", one_line(&error)));
                    break;
                }
            };
            let again = match is_datagram || *closes {
                true => None,
                false => {
                    let last = (&ask.said[..], &reply);
                    Some(self.is_answered_again(greeting_template.as_ref(), &exchanges, last)?)
                }
            };
            let remark = other_words.contains(&n).then(|| {
                "The client says something else here each time; these are the words of its first run.".to_owned()
            });
            exchanges.push(Exchange {
                send: ask.said.clone(),
                reply,
                again,
                remark,
            });
        }
        Ok(Lesson {
            over: self.over,
            greeting: greeting_template,
            exchanges,
            seen: Vec::new(),
            remarks,
        })
    }

    /// What is waited for of the greeting, where there was one.
    fn greeting(&self, talks: &[Talk]) -> Option<Expectation> {
        let greetings: Vec<Vec<u8>> = talks.iter().map(|talk| talk.greeting.clone()).collect();
        awaited(&greetings, self.over)
    }

    /// What the client asked in its first run, with what all the replies have in common.
    fn asks(&self, talks: &[Talk]) -> Vec<Ask> {
        let turns = talks.first().map_or(&[][..], |talk| &talk.turns);
        let asks = turns.iter().enumerate().map(|(n, turn)| {
            let replies = talks.iter().map(|talk| talk.turns[n].answered.clone());
            let replies: Vec<Vec<u8>> = replies.collect();
            Ask {
                said: turn.said.clone(),
                awaited: awaited(&replies, self.over),
            }
        });
        asks.collect()
    }

    /// Says all of it again, on several servers and several times on the same; `None` where some of it is not answered.
    fn answers(
        &self,
        greeting: Option<Expectation>,
        asks: &[Ask],
    ) -> Result<Option<Answers>, Error> {
        let mut answers = Answers {
            greetings: Vec::new(),
            replies: vec![Vec::new(); asks.len()],
            ended: None,
        };
        for (number, times) in REPEATS.iter().enumerate() {
            until_another_second()?;
            let script = Script::in_turn(greeting.clone(), asks);
            for replies in self.said(&script, Circumstances::of(number), *times)? {
                let end = replies.end_of(0);
                let end = end.map(|(n, end)| (script.asked_by(n), end));
                answers.ended = answers.ended.or(end);
                let mut heard = replies.in_order(&script).into_iter();
                answers.greetings.extend(heard.next());
                for replies_to in &mut answers.replies {
                    let Some(reply) = heard.next().filter(|reply| !reply.is_empty()) else {
                        return Ok(None);
                    };
                    replies_to.push(reply);
                }
            }
        }
        Ok(Some(answers))
    }

    fn said(
        &self,
        script: &Script,
        circumstances: Circumstances,
        times: usize,
    ) -> Result<Vec<Replies>, Error> {
        said_again(self.server, script, self.settings, (circumstances, times))
    }

    /// Whether the last of these exchanges can be made again on the same connection.
    fn is_answered_again(
        &self,
        greeting: Option<&Template>,
        earlier: &[Exchange],
        (said, reply): (&[u8], &Template),
    ) -> Result<bool, Error> {
        let earlier = earlier.iter().map(|exchange| Ask {
            said: exchange.send.clone(),
            awaited: Some(expected(exchange.reply.clone())),
        });
        // A slow server takes as long for the second as for the first.
        let ask = || Ask {
            said: said.to_vec(),
            awaited: Some(expected(reply.clone())),
        };
        let last = [ask(), ask()];
        let asks: Vec<Ask> = earlier.chain(last).collect();
        let script = Script::in_turn(greeting.cloned().map(expected), &asks);
        let mut replies = self.said(&script, Circumstances::default(), 1)?.into_iter();
        let again = replies.all(|replies| {
            let heard = replies.in_order(&script).pop().unwrap_or_default();
            reply.matches(&heard) == Match::Full(heard.len())
        });
        Ok(again)
    }

    /// The first check of a polite client that does not pass, in a line.
    fn failed(&self, lesson: &Lesson, closes: bool) -> Result<Option<String>, Error> {
        let report = self.tried(lesson, closes, false)?;
        if report.interrupted {
            return Err(interrupted());
        }
        let mut results = report.results.iter();
        let failed = results.find(|result| {
            !matches!(
                result.outcome(),
                Outcome::Pass | Outcome::Skip | Outcome::Warn
            )
        });
        Ok(failed.map(CheckResult::line))
    }

    /// Whether the server serves polite clients, as it was learned to, and where that is wanted what is observed of it besides.
    fn tried(&self, lesson: &Lesson, closes: bool, observe: bool) -> Result<Report, Error> {
        let mut target = understood(&text(self.server, lesson, ""), &self.server.name)?;
        target.file.clone_from(&self.server.file);
        let settings = Settings {
            only: vec!["polite".to_owned()],
            observe,
            ..self.settings.clone()
        };
        let has_requests = !lesson.exchanges.is_empty() && !self.over.is_datagram();
        // What follows from it is observed only where it is known; whether it is meant is for the owner to say.
        target.profile.promises.after_exchange = has_requests.then_some(match closes {
            true => AfterExchange::Closes,
            false => AfterExchange::StaysOpen,
        });
        let mut report = runner::check(&target, &settings, &|_| {})?;
        let word = if closes { "closes" } else { "stays-open" };
        if has_requests && let Some(seen) = report.observations.get_mut("close_after_reply") {
            seen.push_str(&format!("{PROMISED_BY}after-exchange = \"{word}\""));
        }
        Ok(report)
    }
}

/// The template of what was said each time.
fn described(
    samples: &[Vec<u8>],
    what: &str,
    is_datagram: bool,
    suspected: Suspected,
) -> Result<Template, Error> {
    let found = template(samples, is_datagram, suspected);
    let found = found.map(|found| with_numbers(found, samples, is_datagram));
    found.ok_or_else(|| {
        let shown = samples.iter().map(|sample| Excerpt::of(sample).to_string());
        let mut shown: Vec<String> = shown.collect();
        shown.dedup();
        Error::NotLearned(format!(
            "{what} ends with what varies, so that nothing tells where it ends: {}; let the client ask for something else",
            shown.join(", ")
        ))
    })
}

fn one_line(error: &Error) -> String {
    error.to_string().replace('\n', " ")
}

/// The same error, with what the client says that the server has told it before, where that is seen: it is another one each time.
fn with_what_was_said_back(error: Error, talks: &[Talk]) -> Error {
    let Error::NotLearned(message) = error else {
        return error;
    };
    let Some(SaidBack { token, told, said }) = SaidBack::of(talks) else {
        return Error::NotLearned(message);
    };
    Error::NotLearned(format!(
        "{message}\n  seen: the server says {token} in {told}, and the client says it again in {said}; a profile has no word for that. A \
         scenario that is written by hand has: {{token:[^\\r\\n ]+}} in the place of that text where it is expected, and {{token}} where \
         it is sent"
    ))
}

fn not_answered(asks: &[Ask]) -> Error {
    let said: Vec<String> = asks.iter().map(|ask| shown(&ask.said)).collect();
    Error::NotLearned(format!(
        "the server does not answer all of this when it is said again: {}; what the client says may depend on what it was told \
         before, as with a challenge, which an exchange cannot describe; let the client do without",
        said.join(", ")
    ))
}
