//! A target of `sockdrill::fuzzing`, the one that SOCKDRILL_FUZZ_TARGET names, under libFuzzer.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sockdrill::fuzzing::{Fuzzed, TARGETS};
use std::sync::LazyLock;

static TARGET: LazyLock<Fuzzed> = LazyLock::new(|| {
    let name = std::env::var("SOCKDRILL_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    let target = TARGETS.iter().find(|target| target.name == name);
    *target.unwrap_or_else(|| panic!("SOCKDRILL_FUZZ_TARGET is one of {}", names.join(", ")))
});

/// Writes the seeds to the folder that SOCKDRILL_FUZZ_SEEDS names, before libFuzzer reads what is there.
fn write_seeds() {
    let Some(folder) = std::env::var_os("SOCKDRILL_FUZZ_SEEDS").map(std::path::PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&folder).expect("a folder for seeds");
    for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a folder for seeds");
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| -> Corpus {
    (TARGET.run)(bytes);
    Corpus::Keep
});
