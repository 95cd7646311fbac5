//! A scenario that is performed to see what comes of it, and judged by nobody.

use super::findings::Findings;
use super::job::Job;
use super::parallel::block_on;
use super::probe::{only_served, subject_of};
use super::run_end::RunEnd;
use super::settings::Settings;
use crate::launch::lab::{Isolation, Lab};
use crate::launch::{Process, Target};
use crate::model::error::Error;
use crate::model::profile::Profile;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::session::{Session, Turn};
use crate::transcript::event::Transcript;
use std::sync::Arc;
use std::time::Duration;

/// How a server differs from others of its target, as far as a lab can have it: what it says of these shows that it varies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// How many processes were started before it, so that its own has another number.
    processes: u16,
    /// By how much its port is higher.
    higher_port: u16,
    /// How long it has run when it is spoken to first.
    age: Duration,
}

impl Circumstances {
    /// Those of the server of this number: the first has none.
    pub(crate) fn of(number: usize) -> Self {
        // Numbers of one figure that grow by little are alike in their first; and a clock shows seconds.
        let number = number as u16;
        Self {
            processes: number * 7,
            higher_port: number * 111,
            age: Duration::from_millis(1_100) * u32::from(number),
        }
    }

    /// The lab of such a server, in which other processes were before it.
    async fn lab(self, target: &Target, isolation: Isolation) -> Result<Lab, Error> {
        // Where it listens is said in numbers, which must stay true.
        let higher_port = match target.listen {
            Some(_) => 0,
            None => self.higher_port,
        };
        let lab = Lab::of_another_port(target, isolation, higher_port)?;
        let nothing = Target::command(["true"], Profile::unknown());
        for _ in 0..self.processes {
            // On the host other processes come and go by themselves.
            if lab.is_private()
                && let Ok(process) =
                    Process::start_client(&nothing, &lab, lab.port(), &lab.socket_path())
            {
                process.ended().await;
            }
        }
        Ok(lab)
    }
}

/// Performs a scenario so often on a server that has just been started, and returns what was seen each time; less often where the
/// user ends it.
///
/// # Errors
/// The server could not be started.
pub(crate) fn replayed(
    target: &Target,
    scenario: &Scenario,
    settings: &Settings,
    (circumstances, times): (Circumstances, usize),
) -> Result<Vec<Transcript>, Error> {
    let findings = Findings::of_a_run(RunEnd::of(settings));
    let turn = Turn::default();
    block_on(async {
        tokio::select! {
            biased;
            seen = performed(target, scenario, settings, (&findings, &turn), (circumstances, times)) => seen,
            _ = findings.until_over() => Ok(Vec::new()),
        }
    })?
}

async fn performed(
    target: &Target,
    scenario: &Scenario,
    settings: &Settings,
    (findings, turn): (&Findings, &Turn),
    (circumstances, times): (Circumstances, usize),
) -> Result<Vec<Transcript>, Error> {
    let lab = Arc::new(circumstances.lab(target, settings.isolation).await?);
    let mut session = Session::start(target, lab.clone(), turn.clone()).await?;
    tokio::time::sleep(circumstances.age).await;
    let subject = subject_of(&session, &lab, target, settings)?;
    let trial = Trial::alone(only_served(scenario.clone())).of(&subject.profile);
    let job = Job::new(target, &subject, settings, turn, findings);
    let mut seen = Vec::new();
    for _ in 0..times {
        seen.push(job.perform(&mut session, &trial).await?.1);
    }
    Ok(seen)
}
