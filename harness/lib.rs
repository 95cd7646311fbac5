//! sockdrill drills socket servers: it starts a server, behaves like every legal but hostile client, watches the server
//! through the kernel, and says what broke, with evidence and a file that repeats it.
//!
//! One value moves through the program:
//!
//! - a [`model::scenario::Scenario`] says who does what, and what each may expect. It comes from a `.drill` file
//!   ([`drill::DrillFile`]) or from a check ([`model::check::Check`], all of them in [`checks::all`]);
//! - a [`launch::Target`] says how to start the server, and its [`model::profile::Profile`] what it speaks and promises;
//! - a [`launch::lab::Lab`] is where the server runs: a namespace of its own, or the plain host;
//! - an [`transcript::event::Transcript`] is all that was observed: clients, server process, kernel;
//! - [`judge::judge`] makes a [`judge::Verdict`] of it, without I/O;
//! - a [`report::data::Report`] is all verdicts of a run, and what was observed beside them ([`checks::observations::OBSERVATIONS`]).
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
//! main, cli, suite, runner, reproducer, report, checks, property, judge, session, launch,
//! reference, drill, transcript, model, kernel, sys.

pub mod checks;
#[cfg(feature = "cli")]
pub mod cli;
pub mod drill;
pub mod judge;
mod kernel;
pub mod launch;
pub mod model;
#[cfg(feature = "property")]
mod property;
pub mod reference;
pub mod report;
pub mod reproducer;
pub mod runner;
mod session;
#[cfg(feature = "test-main")]
pub mod suite;
mod sys;
pub mod transcript;
