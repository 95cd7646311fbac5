//! A target as a file has it, whatever it was made of: a file, a name, or a command line.

use super::target::Target;
use crate::model::literal::Shown;
use crate::model::profile::Profile;
use crate::sys::root_plan::Writes;
use std::collections::BTreeMap;
use toml::{Table, Value};

impl Target {
    /// The table that a file of it has. Paths lead to their files from everywhere; what is known of its failures is left out.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), value);
            }
        };
        let usual = match self.elsewhere {
            Some(_) => Self::at("127.0.0.1:1", Profile::unknown()).map(|it| it.ready_within),
            None => Ok(Self::command([""; 0], Profile::unknown()).ready_within),
        };
        let ready_within = Some(self.ready_within).filter(|time| usual.as_ref().ok() != Some(time));
        let elsewhere = self.elsewhere.as_ref();
        put(
            "command",
            elsewhere
                .is_none()
                .then(|| self.command_from_everywhere().into()),
        );
        put(
            "address",
            elsewhere.map(|there| there.address.clone().into()),
        );
        put(
            "ready-within",
            ready_within.map(|time| Shown(time).to_string().into()),
        );
        put("listen", self.listen.clone().map(Value::from));
        put("listen-fds", self.listen_fds.then(|| true.into()));
        put("package", self.package.clone().map(Value::from));
        let programs = Some(&self.programs).filter(|programs| !programs.is_empty());
        put("programs", programs.map(|programs| programs.clone().into()));
        put("environment", filled(texts(&self.environment)));
        put("files", filled(texts(&self.files)));
        put("lab", filled(self.lab()));
        put("profile", filled(self.profile.table()));
        let backends = self.backends.iter();
        let backends = backends.map(|(name, backend)| (name.clone(), backend.table().into()));
        put("backends", filled(backends.collect()));
        table
    }

    /// The command, whose program is found from everywhere.
    pub(crate) fn command_from_everywhere(&self) -> Vec<String> {
        let mut command = self.command.clone();
        if let Some(program) = command.first_mut().filter(|program| program.contains('/'))
            && let Ok(absolute) = std::path::absolute(&*program)
        {
            *program = absolute.to_string_lossy().into_owned();
        }
        command
    }

    fn lab(&self) -> Table {
        let mut lab = Table::new();
        if let Some(limit) = self.open_files.and_then(|limit| i64::try_from(limit).ok()) {
            lab.insert("open-files".to_owned(), limit.into());
        }
        if self.writes == Writes::Host {
            lab.insert("writes".to_owned(), "host".into());
        }
        if let Some(sysctl) = filled(texts(&self.sysctl)) {
            lab.insert("sysctl".to_owned(), sysctl);
        }
        lab
    }
}

fn texts(all: &BTreeMap<String, String>) -> Table {
    let all = all.iter();
    all.map(|(name, text)| (name.clone(), text.as_str().into()))
        .collect()
}

/// A table in which there is something.
fn filled(table: Table) -> Option<Value> {
    (!table.is_empty()).then(|| table.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[track_caller]
    fn reads_back(target: &Target) {
        let text = target.table().to_string();
        let again = Target::parse(&target.name, &text, Path::new(""))
            .unwrap_or_else(|error| panic!("{text}\n{error}"));
        let known_of = |target: &Target| Target {
            file: None,
            known: Vec::new(),
            profile: Profile {
                name: String::new(),
                source: None,
                ..target.profile.clone()
            },
            backends: target
                .backends
                .iter()
                .map(|(name, backend)| (name.clone(), plain(backend)))
                .collect(),
            ..target.clone()
        };
        assert_eq!(known_of(&again), known_of(target), "{text}");
    }

    fn plain(backend: &Target) -> Target {
        Target {
            profile: Profile {
                name: String::new(),
                source: None,
                ..backend.profile.clone()
            },
            ..backend.clone()
        }
    }

    #[test]
    fn targets_read_back_to_the_same() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/targets"));
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let files = files.map(|file| file.path()).filter(|file| file.is_file());
        let mut read = 0;
        for file in files {
            reads_back(&Target::read(&file).unwrap());
            read += 1;
        }
        assert!(read > 10, "{read}");
        let rich = r#"
            command = ["/bin/server", "--port", "{port}", "a b", "\u0007"]
            ready-within = "3s"
            listen = "8080"
            package = "server"
            programs = ["sh"]
            [environment]
            LEVEL = "debug"
            [files]
            "etc/server.conf" = "port {port}\n"
            [lab]
            open-files = 64
            writes = "host"
            sysctl = { "net.core.somaxconn" = 5 }
            [profile]
            transport = "tcp"
            [backends.store]
            command = ["/bin/store", "{port}"]
            [backends.store.profile]
            transport = "tcp"
        "#;
        reads_back(&Target::parse("rich", rich, Path::new("")).unwrap());
        reads_back(
            &Target::parse(
                "handed",
                "command = [\"/bin/s\"]\nlisten-fds = true",
                Path::new(""),
            )
            .unwrap(),
        );
        reads_back(&Target::at("127.0.0.1:8080", Profile::unknown()).unwrap());
    }
}
