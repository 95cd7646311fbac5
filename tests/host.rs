//! What the host gives to tests, and what `SOCKDRILL_REQUIRE` demands of it.

use rustix::process::{Resource, getrlimit};

/// Whether `SOCKDRILL_REQUIRE` demands that something is there.
pub(crate) fn is_required(need: &str) -> bool {
    let required = std::env::var("SOCKDRILL_REQUIRE").unwrap_or_default();
    let mut required = required.split(',').map(str::trim);
    required.any(|name| name == "all" || name == need)
}

/// Whether a process may have so many descriptors.
pub(crate) fn gives_descriptors(needed: u64) -> bool {
    let most = getrlimit(Resource::Nofile).maximum;
    most.is_none_or(|most| most >= needed)
}
