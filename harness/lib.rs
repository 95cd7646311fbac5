//! sockdrill drills socket servers: it starts a server, behaves like every legal but hostile client, watches the server
//! through the kernel, and says what broke, with evidence and a file that repeats it.
//!
//! One value moves through the program:
//!
//! - a [`step::Scenario`] says who does what, and what each may expect. It comes from a `.drill` file
//!   ([`scenario::DrillFile`]) or from a check ([`check::Check`], all of them in [`checks::all`]);
//! - a [`target::Target`] says how to start the server, and its [`profile::Profile`] what it speaks and promises;
//! - a [`lab::Lab`] is where the server runs: a namespace of its own, or the plain host;
//! - an [`event::Transcript`] is all that was observed: clients, server process, kernel;
//! - [`judge::judge`] makes a [`judge::Verdict`] of it, without I/O;
//! - a [`report::Report`] is all verdicts of a run, and what was observed beside them ([`passport::OBSERVATIONS`]).
//!
//! [`runner::check`] goes all the way. `Result<Verdict, Error>` is the key shape: the outer says whether we could look,
//! the inner what we saw.
//!
//! # What a green run means
//!
//! A failure is real: the transcript shows what was done, and what the kernel and the client saw. A pass means that the
//! faults of the check were proven to have happened and that the server was none the worse for it. It does not mean
//! that there is no fault that other bytes, another order or another load would find: silence is not proof.
//!
//! # Order of the modules
//!
//! Each module uses only those that stand behind it in this list; a test reads the list and holds the code to it.
//!
//! main, cli, suite, runner, reproducer, page, report, coverage, passport, checks, counterexample, property, stage, calibration, client, recorder, pulse, target, scenario, servers, judge, view, check,
//! talk, lab, kernel, profile, event, step, error, literal, sys.

mod calibration;
pub mod check;
pub mod checks;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod counterexample;
pub mod coverage;
pub mod error;
pub mod event;
pub mod judge;
mod kernel;
pub mod lab;
mod literal;
mod page;
pub mod passport;
pub mod profile;
#[cfg(feature = "property")]
mod property;
mod pulse;
mod recorder;
pub mod report;
pub mod reproducer;
pub mod runner;
pub mod scenario;
pub mod servers;
mod stage;
pub mod step;
#[cfg(feature = "test-main")]
pub mod suite;
mod sys;
pub mod talk;
pub mod target;
pub mod view;
