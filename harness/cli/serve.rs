//! `sockdrill serve`: a reference server, correct or broken on purpose.

use super::arguments::ServeArgs;
use super::explain::unknown_check;
use crate::checks;
use crate::model::address::Address;
use crate::model::error::{Error, ExitCode};
use crate::model::spelling::did_you_mean;
use crate::reference::{self, Tls};
use std::net::SocketAddr;

pub(super) fn serve(arguments: &ServeArgs) -> Result<ExitCode, Error> {
    let server = reference::find(&arguments.name).ok_or_else(|| unknown_server(&arguments.name))?;
    let address = match &arguments.path {
        Some(path) => Address::Path(path.clone()),
        None => Address::Inet(SocketAddr::new(arguments.host, arguments.port)),
    };
    let failed = |source| Error::Start {
        program: format!("{} on {address}", server.name),
        source,
    };
    let tls = arguments.tls.then(Tls::built_in).transpose();
    let tls = tls.map_err(failed)?;
    let served = match &arguments.violate {
        None => reference::serve(server, &address, tls),
        Some(id) => {
            let check = checks::find(id).ok_or_else(|| unknown_check(id))?;
            let counterexample = &check.counterexample;
            if counterexample.instead_of != server.name {
                return Err(Error::Usage(format!(
                    "{id} is broken by a variant of `{0}`: sockdrill serve {0} --violate {id}",
                    counterexample.instead_of
                )));
            }
            reference::blocking::over_tls(tls);
            (counterexample.serve)(&address)
        }
    };
    served.map(|()| ExitCode::Passed).map_err(failed)
}

fn unknown_server(name: &str) -> Error {
    let known: Vec<_> = reference::SERVERS
        .iter()
        .map(|server| server.name)
        .collect();
    Error::Unknown {
        kind: "reference server",
        name: name.to_owned(),
        hint: format!(
            "; there are {}{}",
            known.join(", "),
            did_you_mean(name, known.iter().copied())
        ),
    }
}
