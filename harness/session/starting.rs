//! A server that listens and does not serve yet: it tells each client, in words of its own, to come again later.

use super::phases::{Session, clients_of};
use crate::model::action::{Action, ConnectOptions};
use crate::model::dialogue::{ClientSteps, replies, scenario};
use crate::model::error::Error;
use crate::model::expectation::Expectation;
use crate::model::limits::{SILENCE, STEP_WITHIN};
use crate::model::phase::Phase;
use crate::model::profile::Serves;
use crate::model::scenario::Step;
use crate::model::subject::{Place, Subject};
use crate::session::client::Client;
use crate::session::outgoing::Division;
use crate::session::recorder::Recorder;
use crate::transcript::client_state::{Matcher, Progress};
use crate::transcript::event::Exit;
use crate::transcript::instead::Instead;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The longest pause between two clients who look whether the server serves by now.
const COMES_AGAIN: Duration = Duration::from_millis(20);

/// How a server that may be starting received a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// It served the client.
    Served,
    /// It answered in these words, which are not those that it owes.
    TurnedAway(String),
    /// It did neither, for which being about to start is no excuse.
    Otherwise,
}

impl Session<'_> {
    /// Waits until a server that turns clients away at first has served one, and returns for how long it did, where it did. One
    /// that does not answer, refuses or resets clients is not waited for: what it does shows in those that come next.
    ///
    /// # Errors
    /// It went on turning clients away for as long as it may take to start.
    pub(super) async fn until_it_serves(&self) -> Result<Option<Duration>, Error> {
        let begun = Instant::now();
        let (turned_away, _) = self.last_reception().await?;
        Ok((turned_away > 0).then(|| begun.elapsed()))
    }

    /// When the server serves a client, from the beginning of the last transcript; `None` where it does not within the time
    /// in which it has to be ready, or does not answer.
    pub(crate) async fn comes_to_serve(&self) -> Option<Duration> {
        let (_, last) = self.last_reception().await.ok()?;
        (last == Reception::Served).then(|| self.observer.began.elapsed())
    }

    /// How many clients the server turned away, and how it received the next one.
    async fn last_reception(&self) -> Result<(usize, Reception), Error> {
        let begun = Instant::now();
        let (mut clients, mut pause, mut patience) = (0, Duration::from_millis(1), SILENCE);
        loop {
            let words = match self.received(patience).await {
                Reception::TurnedAway(words) => words,
                last => {
                    // Who was there for one of them alone is not to be taken for one of its workers.
                    self.observer.settle(&self.clients).await;
                    return Ok((clients, last));
                }
            };
            clients += 1;
            let waited = begun.elapsed();
            if waited > self.target.serves_within() {
                return Err(Error::NeverServed {
                    waited,
                    clients,
                    words,
                    command: self.target.command_line(),
                });
            }
            // Nothing announces that a server has started, so clients come again, ever more seldom; and each of them waits
            // for longer than the one before until what has come is taken for all that comes.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(COMES_AGAIN);
            patience = (patience * 2).min(STEP_WITHIN);
        }
    }

    /// How the server ended, where it listened and then found that it could not start; a crash is nothing of that kind.
    pub(super) async fn ends_before_it_serves(&mut self) -> Option<Exit> {
        if self.comes_to_serve().await.is_some() {
            return None;
        }
        self.observer.wait_for_the_dying().await;
        let server = self.observer.server.as_ref()?;
        server.exit().filter(|exit| !exit.is_crash())
    }

    /// How the server receives a polite client, whose part in the transcript nobody plays. One that has been told something
    /// else than it is owed waits for so long whether more comes.
    pub(super) async fn received(&self, patience: Duration) -> Reception {
        self.received_from(None, patience).await
    }

    /// The same of a client that comes from this address.
    pub(super) async fn received_from(
        &self,
        from: Option<IpAddr>,
        patience: Duration,
    ) -> Reception {
        let profile = &self.target.profile;
        let Some(server) = self.server() else {
            return Reception::Otherwise;
        };
        if !replies(profile) || profile.promises.serves == Some(Serves::OneConnection) {
            return Reception::Otherwise;
        }
        let subject = Subject::of(profile.clone(), Place::on(server.transport()));
        let lines = ClientSteps::of(0).polite(&subject).lines();
        let alone = scenario("a client that comes early", &[("early", 1)], vec![lines]);
        let recorder = Recorder::new(&profile.unasked());
        let mut clients = clients_of(Phase::Scenario, &alone, &self.observer, &recorder);
        let Some(client) = clients.first_mut().and_then(|group| group.first_mut()) else {
            return Reception::Otherwise;
        };
        let steps = alone.lines.iter().filter_map(|line| match &line.step {
            Step::Client { action, .. } => Some(action),
            _ => None,
        });
        for action in steps {
            let met = match action {
                Action::Connect(options) => {
                    let options = ConnectOptions {
                        from,
                        ..options.clone()
                    };
                    self.make_room().await;
                    client.connect(&options).await;
                    answered(client, &recorder, &Expectation::Connected, patience).await
                }
                Action::Send {
                    data,
                    segmentation,
                    every,
                    as_records,
                    ..
                } => {
                    let division = Division::of(segmentation, *as_records);
                    Box::pin(client.send(data, division, *every)).await;
                    Reception::Served
                }
                Action::StartTls(options) => {
                    Box::pin(client.start_tls(options)).await;
                    Reception::Served
                }
                Action::Expect { what, .. } => answered(client, &recorder, what, patience).await,
                _ => Reception::Served,
            };
            if met != Reception::Served {
                client.close().await;
                return met;
            }
        }
        client.close().await;
        Reception::Served
    }
}

/// What a client is answered that is owed this.
async fn answered(
    client: &Client,
    recorder: &Recorder,
    owed: &Expectation,
    patience: Duration,
) -> Reception {
    let id = client.id();
    let mut sought = Matcher::new(owed, id.member);
    let facts = recorder.waiting_for(id);
    loop {
        let next_fact = facts.notified();
        let (seen, words) = {
            let mut states = recorder.client_states();
            let seen = states.take(id, &mut sought, false);
            (seen, states.of(id).so_far())
        };
        let so_far = Reception::TurnedAway(words.to_string());
        match seen {
            Progress::Met => return Reception::Served,
            Progress::Broken(instead) if instead.is_another_answer(owed) => return so_far,
            Progress::Broken(_) => return Reception::Otherwise,
            Progress::Pending => {}
        }
        let (limit, then) = match Instead::SoFar(words).is_another_answer(owed) {
            true => (patience, so_far),
            false => (STEP_WITHIN, Reception::Otherwise),
        };
        if tokio::time::timeout(limit, next_fact).await.is_err() {
            return then;
        }
    }
}
