//! Which store the tests are of.

use sockdrill::{Profile, Target};

/// The one of this package, or another build of it that `KEY_VALUE` names.
pub fn target() -> Target {
    let profile = Profile::find("tests/server.toml").expect("tests/server.toml is a profile");
    let built = env!("CARGO_BIN_EXE_key-value");
    let program = std::env::var("KEY_VALUE").unwrap_or_else(|_| built.to_owned());
    Target::command([program.as_str(), "{addr}"], profile)
}
