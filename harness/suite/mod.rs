//! Scenario files and checks as tests of a package of your own, under `cargo test` and `cargo nextest`.
//!
//! A test target with `harness = false` says which server it is about, and is one line more for each kind of test:
//!
//! ```no_run
//! use sockdrill::suite::Suite;
//! use sockdrill::{Profile, Target};
//!
//! fn main() -> std::process::ExitCode {
//!     let profile = Profile::find("tests/server.toml").expect("a profile");
//!     // In a package with a program of that name: env!("CARGO_BIN_EXE_server").
//!     let program = "target/debug/server";
//!     Suite::of(Target::command([program, "--port", "{port}"], profile))
//!         .scenarios("tests/scenarios")
//!         .checks()
//!         .skip("timeout")
//!         .main()
//! }
//! ```
//!
//! Every case of every file, and every check, is a test of its own: it can be run by its name, and its failure says what
//! was seen, and how to repeat it. A check that does not apply is ignored with the reason, as is a recommendation that is
//! broken; `cargo nextest`, which knows of no test that ignores itself, counts both as passed.

mod builder;
mod cases;
mod checks;
mod outcome;
mod repeat;
mod tally;
mod test;

pub use builder::{Suite, main};
pub use test::{Test, TestEnd};
