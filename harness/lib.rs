//! sockdrill drills socket servers: it starts a server, behaves like every legal but hostile client, watches the server
//! through the kernel, and says what broke, with evidence and a file that repeats it.
//!
//! # Tests of a server of your own
//!
//! A test target with `harness = false` makes every scenario file, and every check of the catalogue, a test of `cargo test`
//! and `cargo nextest`. No code is needed but what says which server is meant; [`suite`] tells more.
//!
//! ```no_run
//! # #[cfg(feature = "test-main")]
//! fn main() -> std::process::ExitCode {
//!     let profile = sockdrill::Profile::find("tests/server.toml").expect("a profile");
//!     let server = sockdrill::Target::command(["target/debug/server", "--port", "{port}"], profile);
//!     sockdrill::suite::Suite::of(server)
//!         .scenarios("tests/scenarios")
//!         .checks()
//!         .main()
//! }
//! # #[cfg(not(feature = "test-main"))]
//! # fn main() {}
//! ```
//!
//! Tests that are written in Rust have a [`Server`] and its [`Client`]s in their hands, in `#[tokio::test]` and as rstest
//! fixtures: the steps are those of `.drill` files, and the same judge says what was seen. [`handles`] tells more.
//!
//! ```no_run
//! # async fn test() -> Result<(), sockdrill::Error> {
//! let target = sockdrill::Target::command(["./server", "{port}"], sockdrill::Profile::find("echo")?);
//! let server = sockdrill::Server::start(&target).await?;
//! let alice = server.connect("alice").await;
//! alice.send("hello").cut_at([2]).await;
//! alice.expect("hello").await;
//! server.finish().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A run from a program
//!
//! A [`Target`] says how the server is started, and its [`Profile`] what it speaks and promises. [`check`](fn@check) tries every
//! [`Check`] of the [`catalogue`] that applies, and that the [`Settings`] choose, and returns a [`Report`] with a
//! [`CheckResult`] for each. An [`Error`] says why nothing could be seen; what was seen is an [`Outcome`].
//!
//! ```no_run
//! use sockdrill::{Outcome, Profile, Settings, Target, check};
//!
//! let server = Target::command(["./server", "--port", "{port}"], Profile::unknown());
//! let report = check(&server, &Settings::default(), &|result| println!("{}", result.line()))?;
//! let failed = report.results.iter().filter(|result| result.outcome() == Outcome::Fail);
//! for result in failed {
//!     println!("{}", result.details());
//! }
//! # Ok::<(), sockdrill::Error>(())
//! ```
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
//! main, cli, suite, handles, fuzzing, learning, runner, reproducer, report, checks, property, judge, session, launch,
//! reference, drill, transcript, model, kernel, sys, foreign.

#![cfg_attr(
    not(feature = "cli"),
    expect(
        dead_code,
        unused_imports,
        reason = "the words, tables and programs that only the command line prints"
    )
)]

mod checks;
#[cfg(feature = "cli")]
pub mod cli;
mod drill;
mod foreign;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod handles;
mod judge;
mod kernel;
mod launch;
#[cfg(feature = "cli")]
mod learning;
mod model;
#[cfg(feature = "property")]
mod property;
mod reference;
mod report;
mod reproducer;
mod runner;
mod session;
#[cfg(feature = "test-main")]
pub mod suite;
mod sys;
mod transcript;

pub use checks::all as catalogue;
pub use drill::DrillFile;
pub use handles::{Client, Server};
pub use launch::lab::Isolation;
pub use launch::{Elsewhere, Target};
pub use model::check::{Check, Counterexample, Severity};
pub use model::error::{Error, ExitCode};
pub use model::expectation::End;
pub use model::mistake::{Mistake, Mistakes};
pub use model::partition::{NoPartition, Partition};
pub use model::profile::Profile;
pub use model::server_action::Signal;
pub use reference::{ReferenceServer, Running};
pub use report::concluded::NoTests;
pub use report::data::{CheckResult, Outcome, Report, Summary};
pub use runner::{Interrupt, SavedTrial, SavedVerdict, Settings, check};
pub use sys::root_plan::Writes;
