//! Embeds every profile in `fixtures/profiles`, so that a new file there is all a new profile takes.

use std::fmt::Write as _;
use std::path::PathBuf;

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let folder = root.join("fixtures/profiles");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("fixtures/profiles is part of the package")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let mut table = String::from("const PROFILES: &[(&str, &str)] = &[\n");
    for path in files {
        let stem = path.file_stem().expect("a file name").to_string_lossy();
        writeln!(table, "    ({stem:?}, include_str!({path:?})),").expect("a string grows");
    }
    table.push_str("];\n");
    std::fs::write(out.join("profiles.rs"), table).expect("OUT_DIR is writable");
}
