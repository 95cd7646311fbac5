//! What a server is called in a scenario file that is written for it.

use crate::launch::Target;
use std::path::{Component, Path, PathBuf};

/// The name of a server in a file of this folder; `None` of one that only a command starts.
pub(super) fn name_in(folder: &Path, target: &Target) -> Option<String> {
    if let Some(file) = &target.file {
        return Some(way(&real(folder), &real(file)).display().to_string());
    }
    let found = Target::find(&target.name);
    let is_named = found.is_ok_and(|found| {
        (&found.command, &found.elsewhere) == (&target.command, &target.elsewhere)
    });
    (target.project.is_some() || is_named).then(|| target.name.clone())
}

/// The way from a folder to a file, both of which begin at the root.
fn way(folder: &Path, file: &Path) -> PathBuf {
    let both = folder.components().zip(file.components());
    let common = both.take_while(|(one, other)| one == other).count();
    let up = folder
        .components()
        .skip(common)
        .map(|_| Component::ParentDir);
    up.chain(file.components().skip(common)).collect()
}

/// The path from the root, without links as far as there is anything.
fn real(path: &Path) -> PathBuf {
    // The folder of a file that is named without one is the one here.
    let path = Path::new(".").join(path);
    let path = std::path::absolute(&path).unwrap_or_else(|_| path.to_owned());
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(folder), Some(name)) => real(folder).join(name),
        (Err(_), ..) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_begins_at_the_folder_that_names_it() {
        for (folder, file, expected) in [
            ("/a/b", "/a/b/t.toml", "t.toml"),
            ("/a/b", "/a/t.toml", "../t.toml"),
            ("/a/b/c", "/a/d/t.toml", "../../d/t.toml"),
            ("/", "/a/t.toml", "a/t.toml"),
        ] {
            let found = way(Path::new(folder), Path::new(file));
            assert_eq!(found, Path::new(expected), "{folder} {file}");
        }
    }
}
