//! A profile as a file has it, whatever it was made of: a built-in one, a file, a part of a target, and what was promised beside.

use super::literal::{Shown, Size, escaped};
use super::profile::{
    Drops, Exchange, IdleTimeout, Longest, Model, MostConnections, Profile, Promises, Refused,
    STOP_WITHIN, Sessions, Speech, Stop, TooLong,
};
use super::template::Template;
use super::tls::{TlsOptions, TlsVersion};
use serde::Serialize;
use std::time::Duration;
use toml::{Table, Value};

impl Profile {
    /// The table that a file of it has. It names the files of TLS by paths that lead to them from everywhere.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        put(&mut table, "transport", self.transport.map(word));
        match &self.speech {
            Speech::Unknown => {}
            Speech::Dialogue {
                greeting,
                exchanges,
            } => dialogue(&mut table, greeting.as_ref(), exchanges),
            Speech::Model(model) => modelled(&mut table, model),
        }
        put(&mut table, "tls", self.tls.as_ref().map(tls));
        let promises = promises(&self.promises);
        put(
            &mut table,
            "promises",
            Some(promises).filter(|promises| !promises.is_empty()),
        );
        table
    }
}

fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}

/// A word of a closed set, as files have it.
fn word(word: impl Serialize) -> Value {
    // Each is a unit variant, which is a string.
    Value::try_from(word).unwrap_or_else(|_| Value::from(""))
}

fn text(template: &Template) -> String {
    template.text()
}

fn time(time: Duration) -> String {
    Shown(time).to_string()
}

fn size(bytes: usize) -> String {
    Size(bytes).to_string()
}

fn dialogue(table: &mut Table, greeting: Option<&Template>, exchanges: &[Exchange]) {
    put(table, "speaks-first", greeting.map(|_| true));
    put(table, "greeting", greeting.map(text));
    let exchanges = exchanges.iter().map(|exchange| {
        let mut table = Table::new();
        put(&mut table, "send", Some(escaped(&exchange.send)));
        put(&mut table, "reply", Some(text(&exchange.reply)));
        put(&mut table, "once", exchange.once);
        Value::from(table)
    });
    let exchanges: Vec<Value> = exchanges.collect();
    put(
        table,
        "exchange",
        Some(exchanges).filter(|all| !all.is_empty()),
    );
}

/// What bounds a model is among the promises.
fn modelled(table: &mut Table, model: &Model) {
    put(table, "model", Some(word(model.rule)));
    put(table, "framing", Some(word(model.framing)));
}

/// How a profile says that TLS begins: nothing of where its ClientHello is cut, which steps say.
fn tls(options: &TlsOptions) -> Table {
    let mut table = Table::new();
    let spelt_out = options.spelt_out();
    put(&mut table, "name", spelt_out.name);
    let protocols = Some(spelt_out.protocols).filter(|protocols| !protocols.is_empty());
    put(&mut table, "alpn", protocols);
    let version = spelt_out.version.and_then(TlsVersion::word);
    put(&mut table, "version", version);
    if let Some(identity) = &spelt_out.identity {
        put(&mut table, "certificate", Some(identity.certificate.name()));
        put(&mut table, "key", Some(identity.key.name()));
    }
    table
}

fn promises(promised: &Promises) -> Table {
    // All of them are named, so that a new one is not forgotten.
    let Promises {
        serves,
        half_close,
        after_exchange,
        idle_timeout,
        login_timeout,
        request_timeout,
        most_connections,
        longest,
        output_limit,
        throttling,
        penalties,
        backlog,
        unasked,
        pipelining,
        starting,
        second_instance,
        stop,
    } = promised;
    let mut table = Table::new();
    let mut put = |key: &str, value: Option<Value>| put(&mut table, key, value);
    put("serves", serves.map(word));
    put("half-close", half_close.map(word));
    put("after-exchange", after_exchange.map(word));
    put(
        "idle-timeout",
        idle_timeout.map(|idle| patience(idle).into()),
    );
    put("login-timeout", login_timeout.map(|it| time(it).into()));
    put("request-timeout", request_timeout.map(|it| time(it).into()));
    put("most-connections", most_connections.as_ref().map(most));
    put("longest", longest.as_ref().map(longest_of));
    put("output-limit", output_limit.map(|bytes| size(bytes).into()));
    put("throttling", throttling.map(|it| time(it).into()));
    put("penalties", penalties.map(word));
    put("backlog", backlog.map(Value::from));
    let texts = unasked.as_ref().map(|unasked| unasked.texts().iter());
    let texts = texts.map(|texts| texts.map(text).collect::<Vec<_>>());
    put("unasked", texts.map(Value::from));
    put("pipelining", pipelining.map(word));
    put("starting", starting.map(word));
    put("second-instance", second_instance.map(word));
    put("stop", stop.as_ref().map(|stop| stop_of(stop).into()));
    table
}

fn patience(idle: IdleTimeout) -> String {
    idle.time().map_or_else(|| "none".to_owned(), time)
}

fn most(most: &MostConnections) -> Value {
    let MostConnections::Limit {
        in_all,
        an_address,
        refused,
        drops,
    } = most
    else {
        return "unlimited".into();
    };
    let mut table = Table::new();
    put(&mut table, "in-all", *in_all);
    put(&mut table, "an-address", *an_address);
    let (refused, words) = match refused {
        Refused::Waits => ("waits", None),
        Refused::Closed(words) => ("closed", words.as_ref()),
    };
    put(&mut table, "refused", Some(refused));
    put(&mut table, "text", words.map(text));
    put(
        &mut table,
        "drops",
        Some(*drops).filter(|drops| *drops != Drops::All).map(word),
    );
    table.into()
}

fn longest_of(longest: &Longest) -> Value {
    let Some(refused) = &longest.refused else {
        return size(longest.bytes).into();
    };
    let (refused, words) = match refused {
        TooLong::Closed(words) => ("closed", words.as_ref()),
        TooLong::Answered(words) => ("answered", Some(words)),
        TooLong::Cut => ("cut", None),
        TooLong::Dropped => ("dropped", None),
    };
    let mut table = Table::new();
    put(&mut table, "size", Some(size(longest.bytes)));
    put(&mut table, "refused", Some(refused));
    put(&mut table, "text", words.map(text));
    table.into()
}

fn stop_of(stop: &Stop) -> Table {
    let mut table = Table::new();
    put(&mut table, "signal", Some(word(stop.signal)));
    let within = Some(stop.within).filter(|within| *within != STOP_WITHIN);
    put(&mut table, "within", within.map(time));
    put(
        &mut table,
        "in-flight",
        stop.completes_in_flight.then_some("completes"),
    );
    let (sessions, drain) = match stop.sessions {
        None => (None, None),
        Some(Sessions::Closed) => (Some("closed"), None),
        Some(Sessions::Kept) => (Some("kept"), None),
        Some(Sessions::WaitedFor { drain }) => (Some("waited-for"), drain),
    };
    put(&mut table, "sessions", sessions);
    put(&mut table, "drain", drain.map(time));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads_back(profile: &Profile) {
        let text = profile.table().to_string();
        let again =
            Profile::parse(&profile.name, &text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let same = Profile {
            source: profile.source.clone(),
            ..again
        };
        assert_eq!(same, *profile, "{text}");
    }

    #[test]
    fn every_built_in_profile_reads_back_to_the_same() {
        for (name, _) in Profile::built_in() {
            reads_back(&Profile::find(name).unwrap());
        }
        reads_back(&Profile {
            name: "nothing".to_owned(),
            ..Profile::unknown()
        });
    }

    #[test]
    fn every_promise_reads_back_to_the_same() {
        let rich = r#"
            transport = "tcp"
            greeting = '220 {:[a-z]+} ready\r\n'
            [tls]
            name = "localhost"
            alpn = ["h2", "http/1.1"]
            version = "1.3"
            [[exchange]]
            send = 'A "quoted" \x00\xff\r\n'
            reply = 'A {any}\\ \{no hole\}\r\n'
            once = true
            [[exchange]]
            send = 'B\r\n'
            reply = 'ok {line}\r\n'
            [promises]
            serves = "concurrently"
            half-close = "closes"
            after-exchange = "stays-open"
            idle-timeout = "1500ms"
            login-timeout = "10s"
            request-timeout = "20s"
            throttling = "8s"
            penalties = "an-address"
            backlog = 511
            unasked = ['PING :{line}\r\n']
            pipelining = "answers"
            starting = "turns-away"
            second-instance = "shares-port"
            most-connections = { in-all = 9, an-address = 3, refused = "closed", text = 'full\r\n', drops = "some" }
            stop = { signal = "INT", within = "3s", in-flight = "completes", sessions = "waited-for", drain = "2s" }
        "#;
        let modelled = |rest: &str| {
            format!("transport = \"tcp\"\nmodel = \"echo\"\nframing = \"line\"\n[promises]\n{rest}")
        };
        let others = [
            "most-connections = \"unlimited\"\nidle-timeout = \"none\"\noutput-limit = \"1MiB\"",
            "most-connections = { in-all = 1, refused = \"waits\" }\nlongest = \"1000B\"\nunasked = []",
            "most-connections = { in-all = 4, refused = \"closed\", drops = \"oldest\" }\nlongest = { size = \"64KiB\", refused = \"answered\", text = 'no\\n' }",
            "longest = { size = \"64KiB\", refused = \"cut\" }\nstop = { sessions = \"kept\" }",
            "longest = { size = \"64KiB\", refused = \"closed\" }\nstop = { sessions = \"closed\" }",
            "longest = { size = \"64KiB\", refused = \"dropped\" }",
        ];
        let others = others.map(modelled);
        for text in std::iter::once(rich).chain(others.iter().map(String::as_str)) {
            let profile =
                Profile::parse("rich", text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            reads_back(&profile);
        }
    }
}
